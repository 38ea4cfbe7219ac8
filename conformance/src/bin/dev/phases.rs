//! The phases of `cargo test-all` and `cargo dev lint`: one table, run from top to bottom.

use crate::{
    closing_lines::Count,
    failures::Failures,
    runner::{self, RunError},
    setup,
    workspace::{self, Workspace, WorkspaceError},
};
use clap::builder::PossibleValuesParser;
use std::time::{Duration, Instant};

/// One call of cargo.
pub(crate) struct Phase {
    /// What it is called on the command line and in the summary.
    name: &'static str,
    /// Arguments of cargo.
    args: &'static [&'static str],
    /// Environment of this phase alone.
    env: &'static [(&'static str, &'static str)],
    /// It runs tests, and takes part of a test's name as one more argument.
    tests: bool,
}

/// Where the tests find the program that they run: set for every phase.
const POLICYD: &str = "PALISADE_POLICYD";

const FORMAT: Phase = Phase { name: "format", args: &["fmt", "--all", "--check"], env: &[], tests: false };
const CLIPPY: Phase = Phase {
    name: "clippy",
    args: &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
    env: &[],
    tests: false,
};
const DENY: Phase = Phase { name: "deny", args: &["deny", "check"], env: &[], tests: false };

/// Everything that has to hold before a change lands. A new suite is one more line here.
pub(crate) const TEST_ALL: &[Phase] = &[
    FORMAT,
    CLIPPY,
    Phase { name: "policyd", args: &["build", "--release", "--package", "enforcer"], env: &[], tests: false },
    Phase { name: "tests", args: &["test", "--workspace", "--no-fail-fast"], env: &[], tests: true },
    // The upstream suite on a real cluster, and that it fails where nobody enforces. `cargo conformance` is an alias.
    Phase { name: "upstream", args: &["conformance", "netpol", "--control"], env: &[], tests: false },
    // What policies mean where upstream does not look; and Palisade installed on a real cluster, deleted and applied again, and
    // uninstalled, under traffic.
    Phase {
        name: "own",
        args: &[
            "conformance",
            "own",
            "--focus",
            "rules",
            "--focus",
            "installed",
            "--focus",
            "confined",
            "--workers",
            "2",
        ],
        env: &[],
        tests: false,
    },
    // Some of each kind of cyclonus' cases; all of them take ten minutes.
    Phase { name: "cyclonus", args: &["conformance", "cyclonus", "--chosen"], env: &[], tests: false },
    Phase {
        name: "docs",
        args: &["doc", "--workspace", "--no-deps", "--document-private-items"],
        env: &[("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links")],
        tests: false,
    },
];

/// The phases that run nothing of ours; cargo-deny needs the network, so it is no part of the tests.
pub(crate) fn lint() -> Vec<Phase> {
    let mut phases = vec![FORMAT, CLIPPY];
    if setup::is_command("cargo-deny") {
        phases.push(DENY);
    } else {
        println!("cargo-deny is not installed (cargo install cargo-deny): deny.toml is not checked");
    }
    phases
}

/// Which part of the table to run.
#[derive(Default, clap::Args)]
pub(crate) struct Choice {
    /// Only tests whose name contains this; phases without tests are left out, except what the tests are built on.
    filter: Option<String>,
    /// Only this phase; may be given several times.
    #[arg(long = "phase", value_name = "NAME", value_parser = names())]
    phases: Vec<String>,
}

/// The names that `--phase` takes.
fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(TEST_ALL.iter().map(|phase| phase.name))
}

impl Choice {
    fn includes(&self, phase: &Phase) -> bool {
        let named = self.phases.is_empty() || self.phases.iter().any(|name| name == phase.name);
        named && (self.filter.is_none() || phase.tests || phase.name == "policyd")
    }
}

/// The phases could not be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PhaseError {
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error(transparent)]
    Run(#[from] RunError),
}

/// What is known of a phase that was run.
struct Finished {
    name: &'static str,
    success: bool,
    tests: Count,
    took: Duration,
    failures: Failures,
}

/// Runs the chosen phases in order, each to its end even if one before failed, and closes with what failed and the sum over all tests.
/// `true` if every phase succeeded.
pub(crate) fn run(table: &[Phase], choice: &Choice) -> Result<bool, PhaseError> {
    let workspace = Workspace::read()?;
    let chosen: Vec<&Phase> = table.iter().filter(|phase| choice.includes(phase)).collect();
    let mut results = Vec::new();
    for (i, phase) in chosen.iter().enumerate() {
        println!("[{}/{}] {}: cargo {}", i + 1, chosen.len(), phase.name, phase.args.join(" "));
        let start = Instant::now();
        let mut command = workspace::cargo();
        command
            .current_dir(&workspace.workspace_root)
            .args(phase.args)
            .envs(phase.env.iter().copied())
            .env(POLICYD, workspace.target_directory.join("release/policyd"));
        if phase.tests {
            command.args(&choice.filter);
        }
        let mut failures = Failures::default();
        let outcome = runner::run(&mut command, |line| failures.read(&String::from_utf8_lossy(line)))?;
        let result = Finished {
            name: phase.name,
            success: outcome.success,
            tests: outcome.tests,
            took: start.elapsed(),
            failures,
        };
        println!("[{}/{}] {}", i + 1, chosen.len(), result.line());
        results.push(result);
    }
    println!();
    for result in &results {
        println!("{}", result.line());
        if !result.success {
            result.failures.lines().iter().for_each(|line| println!("{line}"));
        }
    }
    println!("{}", total(&results));
    Ok(results.iter().all(|result| result.success))
}

impl Finished {
    fn line(&self) -> String {
        let word = if self.success { "ok  " } else { "FAIL" };
        let tests = if self.tests == Count::default() { String::new() } else { format!("  {}", self.tests) };
        format!("{word} {:<8} {:>6.1} s{tests}", self.name, self.took.as_secs_f64())
    }
}

/// The sum over all phases. A phase that failed without a failed test (a lint, a build) counts as one that failed, so
/// that the last line never says `0 failed` when something did.
fn total(results: &[Finished]) -> Count {
    let mut total = Count::default();
    for result in results {
        total += result.tests;
        if !result.success && result.tests.failed == 0 {
            total.failed += 1;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(success: bool, passed: usize, failed: usize) -> Finished {
        Finished {
            name: "x",
            success,
            tests: Count { passed, failed },
            took: Duration::ZERO,
            failures: Failures::default(),
        }
    }

    #[test]
    fn a_failed_phase_without_tests_is_counted() {
        let results = [result(false, 0, 0), result(true, 5, 0), result(false, 7, 2)];
        assert_eq!(total(&results), Count { passed: 12, failed: 3 });
    }

    #[test]
    fn a_filter_leaves_only_tests_and_what_they_need() {
        let choice = Choice { filter: Some("dns".into()), phases: Vec::new() };
        let names: Vec<_> = TEST_ALL.iter().filter(|p| choice.includes(p)).map(|p| p.name).collect();
        assert_eq!(names, ["policyd", "tests"]);
    }
}
