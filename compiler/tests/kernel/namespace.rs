//! A network namespace for as long as a shell script runs.

use compiler::ir::Ruleset;
use std::{
    io::Write as _,
    process::{Command, Stdio},
};

/// Runs a bash script in a fresh network namespace with `input` on its standard input; its output.
pub(crate) fn run(script: &str, input: &str) -> String {
    let mut child = Command::new("unshare")
        .args(["--net", "bash", "-ec", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare(1) is installed");
    // A child that may not make a namespace ends before it has read anything: its status tells.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let done = child.wait_with_output().expect("the child ends");
    assert!(
        done.status.success(),
        "`unshare --net bash -ec '{script}'` failed; it needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN) and nft 1.0.6:\n{}\n{input}",
        String::from_utf8_lossy(&done.stderr),
    );
    String::from_utf8_lossy(&done.stdout).into_owned()
}

pub(crate) fn rule_count(ruleset: &Ruleset) -> usize {
    ruleset.tables.values().flat_map(|table| table.chains.values()).map(|chain| chain.rules.len()).sum()
}

/// Rules of a listing with handles. They have theirs at the end of their line, and so have the openings of other objects.
pub(crate) fn listed_rules(listing: &str) -> usize {
    listing.lines().filter(|line| line.contains(" # handle ") && !line.contains("{ # handle ")).count()
}
