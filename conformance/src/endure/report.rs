//! `docs/endurance.md`: a run that follows a folder, and one that follows an API server.

use super::{Ended, Settings};
use std::fmt::Write;

/// Where the second one begins.
const SERVED: &str = "## On an API server\n";

/// The document with the report of a run in it, on a machine of which these lines are known. What `kept` says of the other kind of run stays.
#[must_use]
pub fn document(settings: &Settings, ended: &Ended, machine: &[(&str, String)], kept: &str) -> String {
    let report = report(settings, ended, machine);
    let (folder, served) = kept.split_once(SERVED).unwrap_or((kept, ""));
    if settings.api_server {
        return format!("{}\n\n{SERVED}{report}", folder.trim_end());
    }
    let folder = format!("# Endurance\n{report}");
    if served.is_empty() { folder } else { format!("{folder}\n{SERVED}{served}") }
}

fn report(settings: &Settings, ended: &Ended, machine: &[(&str, String)]) -> String {
    let Ended { tally, rounds, took, resident } = ended;
    let (flag, what) = if settings.api_server {
        (
            " --api-server",
            "The same with daemons that follow a real kube-apiserver and its etcd. Every other round something befalls it: it is killed, stopped, cut off \
             from a node, or changes happen while the nodes stand still and its history is compacted. In half of the first three our tables are damaged meanwhile. \
             Nodes boot, and what `policyd` keeps on disk is torn, changed, of another version or gone, or has no room. \
             Objects come one by one here: what is so in each set of a round's changes must be so all the while. After each round the kernel must be what the \
             API server's objects would be compiled to from nothing.",
        )
    } else {
        (
            "",
            "Two nodes and eight pods in network namespaces, `policyd` on both. Each round changes objects, breaks something, or \
             both at once; all the while each pod, and a host outside, sends to each other one on two ports, IPv4 and IPv6, every 25 ms. What the model \
             forbids before and after a round must not pass in between, what it allows must not be lost. After each round new flows of TCP, UDP, SCTP and ICMP \
             are tried between all of them, and the kernel's tables are compared with what `policyd` wants.",
        )
    };
    let mut text = format!(
        "\nWritten by `cargo endure{flag} --minutes {} --seed {} --write` from its own run; not edited by hand.\n\n\
         {what} {rounds} rounds in {:.0} minutes.\n\n| what | how much |\n| --- | --- |\n",
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
             touch that node are counted apart. While the kernel refuses one message of each transaction (after a change in the bytes on their way to it, by a library \
             preloaded into `policyd`), what is forbidden must not pass; what is permitted between that node's pods and others may be lost until it takes everything again.\n";
    if !tally.broken.is_empty() {
        text += "\nPromises that were broken:\n\n";
        tally.broken.iter().for_each(|promise| text += &format!("- {promise}\n"));
    }
    text
}
