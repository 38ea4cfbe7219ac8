//! `cargo endure`: events and faults at random under traffic.

use crate::{
    bench::machine,
    demo, interrupt,
    workspace::{Workspace, WorkspaceError},
};
use conformance::{
    bench::processor,
    endure::{self, EndureError, Settings},
};
use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/endurance.md");

/// How long, and with which events.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    minutes: u64,
    /// The same events again: any number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Let the daemons follow a real API server, which is killed, stopped, cut off and loses its history.
    #[arg(long)]
    api_server: bool,
    /// Write docs/endurance.md from this run.
    #[arg(long)]
    write: bool,
    /// Where rounds are kept in which a promise was broken.
    #[arg(long, value_name = "DIR", default_value = "target/endure")]
    keep: PathBuf,
}

/// Why a run does not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndureCommandError {
    #[error(transparent)]
    Demo(#[from] demo::DemoCommandError),
    #[error(transparent)]
    Endure(#[from] EndureError),
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> EndureCommandError {
    move |source| EndureCommandError::Io { what, source }
}

/// Runs it; `true` if no promise was broken.
pub(crate) fn run(options: &Options) -> Result<bool, EndureCommandError> {
    demo::build_policyd()?;
    let root = Workspace::read()?.workspace_root;
    let keep = root.join(&options.keep);
    let settings = Settings {
        time: Duration::from_secs(options.minutes * 60),
        seed: options.seed,
        api_server: options.api_server,
        keep,
    };
    // What is checked out may be another commit at the end of an hour.
    let mut machine = machine::read(&root);
    let interrupted = Arc::default();
    interrupt::listen(Arc::clone(&interrupted)).map_err(io_error("cannot listen for signals"))?;
    let ended = endure::run(&settings, &interrupted, &mut |line| println!("{line}"))?;
    println!("\n{} rounds in {:.0} s, seed {}", ended.rounds, ended.took.as_secs_f64(), settings.seed);
    for (what, value) in ended.tally.rows() {
        println!("{value:>12}  {what}");
    }
    let resident = ended.resident.map(|bytes| format!("{:.1} MB", bytes as f64 / 1e6));
    println!("policyd resident: {} after 20 rounds, {} at the end", resident[0], resident[1]);
    for broken in &ended.tally.broken {
        println!("FAIL  {broken}");
    }
    if options.write {
        let kept = fs::read_to_string(DOCUMENT).unwrap_or_default();
        machine.push(("load average of its last 15 minutes", processor::load_of_a_quarter()));
        let text = endure::document(&settings, &ended, &machine, &kept);
        fs::write(DOCUMENT, text).map_err(io_error(DOCUMENT))?;
        println!("wrote docs/endurance.md");
    }
    println!("{} passed, {} failed", ended.tally.held(), ended.tally.broken.len());
    Ok(ended.tally.broken.is_empty())
}
