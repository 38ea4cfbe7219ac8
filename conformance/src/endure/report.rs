//! `docs/endurance.md`.

use super::{Ended, Settings};
use std::fmt::Write;

/// The report of a run, on a machine of which these lines are known.
#[must_use]
pub fn document(settings: &Settings, ended: &Ended, machine: &[(&str, String)]) -> String {
    let Ended { tally, rounds, took, resident } = ended;
    let mut text = format!(
        "# Endurance\n\nWritten by `cargo endure --minutes {} --seed {} --write` from its own run; not edited by hand.\n\n\
         Two nodes and eight pods in network namespaces, `policyd` on both, {rounds} rounds in {:.0} minutes. Each round changes objects, breaks something, or \
         both at once; all the while each pod, and a host outside, sends to each other one on two ports, IPv4 and IPv6, every 25 ms. What the model \
         forbids before and after a round must not pass in between, what it allows must not be lost. After each round new flows of TCP, UDP, SCTP and ICMP \
         are tried between all of them, and the kernel's tables are compared with what `policyd` wants.\n\n| what | how much |\n| --- | --- |\n",
        settings.time.as_secs() / 60,
        settings.seed,
        took.as_secs_f64() / 60.0
    );
    for (name, value) in machine {
        // Writing to a String does not fail.
        let _ = writeln!(text, "| {name} | {value} |");
    }
    let resident = resident.map(|bytes| format!("{:.1} MB", bytes as f64 / 1e6)).join(", ");
    let rows = tally
        .rows()
        .into_iter()
        .chain([("policyd resident after 20 rounds, at the end".to_owned(), resident)]);
    for (what, value) in rows {
        let _ = writeln!(text, "| {what} | {value} |");
    }
    text += "\nTables are damaged when somebody else edits, deletes or flushes them; until `policyd` has repaired them (promised within a second), streams that \
             touch that node are counted apart.\n";
    if !tally.broken.is_empty() {
        text += "\n## Promises that were broken\n\n";
        tally.broken.iter().for_each(|promise| text += &format!("- {promise}\n"));
    }
    text
}
