//! `cargo demo`: builds `policyd`, runs the demo, and says what it found.

use crate::{
    interrupt,
    workspace::{self, WorkspaceError},
};
use conformance::{
    demo::{self, Checks, Kept, Screen, Servers},
    lab::{LabError, Place, ownership},
};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{self, Command, Stdio},
    thread,
    time::Instant,
};

/// Names a `policyd` to use; then none is built.
const POLICYD: &str = "PALISADE_POLICYD";
/// Failed checks that are listed; the closing line counts all.
const LISTED: usize = 40;

/// Why a command of the demo does not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoCommandError {
    #[error(transparent)]
    Lab(#[from] LabError),
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error("policyd was not built; cargo's own message is above")]
    Build,
    #[error("there is no demo {id}. {up}")]
    NoSuchDemo { id: String, up: String },
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> DemoCommandError {
    move |source| DemoCommandError::Io { what, source }
}

/// Runs the demo; `true` if every check held.
pub(crate) fn run(keep: bool) -> Result<bool, DemoCommandError> {
    build_policyd()?;
    let mut out = io::stdout();
    let mut screen = Screen::stdout(&mut out);
    // Until here there is nothing to take down.
    interrupt::listen(screen.interrupted()).map_err(io_error("cannot listen for signals"))?;
    let begin = Instant::now();
    let company = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/company");
    let mut checks = Checks::default();
    let ended = demo::run(&company, keep, &mut screen, &mut checks);
    match &ended {
        Ok(Some(kept)) => {
            // Without them it is no use, and nobody has been told how to take it down.
            start_servers(kept).inspect_err(|_| drop(ownership::remove(&kept.id)))?;
            kept.tell(&mut screen);
        }
        Ok(None) => {}
        Err(error) => checks.failures.push(format!("the demo could not go on: {error}")),
    }
    println!();
    for failure in checks.failures.iter().take(LISTED) {
        println!("FAIL  {failure}");
    }
    println!("in {:.1} s", begin.elapsed().as_secs_f64());
    println!("{}", checks.closing_line());
    Ok(checks.failures.is_empty())
}

/// Builds `policyd`, unless one is named. On a terminal cargo shows its own bar, with counts.
pub(crate) fn build_policyd() -> Result<(), DemoCommandError> {
    if std::env::var_os(POLICYD).is_some() {
        return Ok(());
    }
    let begin = Instant::now();
    let workspace = workspace::Workspace::read()?;
    let mut cargo = workspace::cargo();
    cargo.current_dir(&workspace.workspace_root).args(["build", "--release", "--package", "enforcer"]);
    println!("      policyd is built with cargo; the first time takes some minutes");
    if !io::stderr().is_terminal() {
        cargo.arg("--quiet");
    }
    let status = cargo.stdin(Stdio::null()).status().map_err(WorkspaceError::Start)?;
    if !status.success() {
        return Err(DemoCommandError::Build);
    }
    println!("ok    policyd is built  {:.1} s", begin.elapsed().as_secs_f64());
    Ok(())
}

/// Servers that outlive this process, as a process of the lab's outside host: they end when the lab is taken down.
fn start_servers(kept: &Kept) -> Result<(), DemoCommandError> {
    // Not by its path: another build may have taken that meanwhile.
    let this = format!("/proc/{}/exe", process::id());
    let ports: Vec<_> = kept.ports.iter().map(ToString::to_string).collect();
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &format!("{}-out", kept.id)]).arg(this);
    command.args(["demo-serve", &kept.id, "--ports", &ports.join(",")]);
    command.args(kept.places.iter().map(ToString::to_string));
    // Ctrl-C is for what runs in the foreground, and so is its output: whoever waits for the end of that must not wait for
    // these servers.
    command.process_group(0);
    let log =
        File::create(kept.folder.with_file_name("servers.log")).map_err(io_error("the servers' log"))?;
    let mut servers = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(io_error("cannot start the lab's servers"))?;
    let mut ready = String::new();
    if let Some(output) = servers.stdout.take() {
        BufReader::new(output).read_line(&mut ready).map_err(io_error("the lab's servers"))?;
    }
    if ready.is_empty() {
        Err(io_error("the lab's servers ended")(io::ErrorKind::BrokenPipe.into()))
    } else {
        Ok(())
    }
}

/// Which servers to run.
#[derive(clap::Args)]
pub(crate) struct Serve {
    /// The lab.
    id: String,
    /// Ports of each host.
    #[arg(long, value_delimiter = ',')]
    ports: Vec<u16>,
    /// Hosts.
    places: Vec<Place>,
}

/// Serves until it is killed with its lab.
pub(crate) fn serve(serve: &Serve) -> Result<(), DemoCommandError> {
    let _servers = Servers::start(&serve.id, &serve.places, &serve.ports)?;
    let mut out = io::stdout();
    writeln!(out, "ready").and_then(|()| out.flush()).map_err(io_error("standard output"))?;
    loop {
        thread::park();
    }
}

/// Takes a lab down that was left up.
pub(crate) fn take_down(id: &str) -> Result<(), DemoCommandError> {
    let kept = ownership::kept()?;
    if !kept.iter().any(|kept| kept == id) {
        let up = match &*kept {
            [] => "None is up.".to_owned(),
            some => format!("These are up: {}", some.join(", ")),
        };
        return Err(DemoCommandError::NoSuchDemo { id: id.to_owned(), up });
    }
    ownership::remove(id)?;
    println!("{id} is gone");
    Ok(())
}
