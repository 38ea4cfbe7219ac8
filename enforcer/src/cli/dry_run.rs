//! `policyd run --dry-run`: what would be in force, and what would change.

use super::{Failure, RunOptions, run, runtime};
use crate::{
    nft::{Backend, Kernel},
    node::{facts::Facts, tracker::Tracker},
};
use compiler::{
    Compiler,
    delta::{Delta, diff},
    ir::Ruleset,
    text::{self, Style},
};
use policy_model::cluster::{Change, Cluster};
use std::io::{self, Write};
use tracing::{info, warn};

/// Prints to standard output; the comments between are comments of nft too, so that the first part loads with `nft -f`.
pub(super) fn run(options: &RunOptions, changes: Vec<Change>) -> Result<(), Failure> {
    let facts = runtime::read_host(&options.host).unwrap_or_else(|error| {
        warn!(%error, "this host's links cannot be read");
        Facts::default()
    });
    let cluster: Cluster = changes.iter().cloned().collect();
    let mut tracker = Tracker::new(run::settings(options, true));
    let update = tracker.read(facts, &cluster);
    let mut compiler = Compiler::new(tracker.config().clone());
    changes.into_iter().for_each(|change| compiler.apply(change.into()));
    update.events().for_each(|event| compiler.apply(event));
    compiler.commit();

    let (delta, from) = match Kernel::open().and_then(|mut kernel| kernel.dump()) {
        Ok(dump) => (dump.delta_to(compiler.ruleset()), "what the kernel holds now"),
        Err(error) => {
            info!(%error, "the kernel's tables cannot be read: everything counts as new");
            (diff(&Ruleset::default(), compiler.ruleset()), "nothing")
        }
    };
    match print(compiler.ruleset(), &delta, from) {
        // Who reads it has seen enough.
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("cannot write to standard output: {e}"), ""))
        }
        _ => Ok(()),
    }
}

fn print(ruleset: &Ruleset, delta: &Delta, from: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text::ruleset(ruleset, Style::FULL).as_bytes())?;
    writeln!(out, "# {} operations from {from}:", delta.ops.len())?;
    text::delta(delta, Style::SHORT).lines().try_for_each(|line| writeln!(out, "# {line}"))
}
