//! `docs/conformance.md`, from the runs that are kept.

use super::{Measured, Place, Quantiles, Record};
use crate::cluster::Engine;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

const HEAD: &str = "# Conformance\n\n\
    Written by `cargo conformance … --write` from its own runs, which are kept in `conformance/results`; not edited by hand. Each row is a\n\
    run on a real cluster of this machine (`docs/cluster.md`), with Flannel. `none` (nobody enforces) and `kube-router` are controls: without\n\
    an engine tests that deny must fail, and what fails with kube-router too is looked for in cluster and suite first.\n";

const MEASURED: &str = "\n## measure\n\n\
    Milliseconds at the middle and at 99 of 100 (with how many samples): from the request that creates a policy until a new flow from\n\
    another node reaches no server on any node; from the request that deletes it until one reaches the server on each; from the request that\n\
    creates an isolated pod until it runs and has an address. A new flow is tried every 2 ms. Then the engine's process: its largest resident\n\
    set on a node, and its share of one processor, mean of the nodes, over all of it. Each engine has a cluster of its own, one after the\n\
    other; what else the machine did meanwhile is in the figures.\n\n\
    | engine | workers | policy in force | not after 20 s | policy gone | pod runs | memory | processor | date | commit | kernel |\n\
    | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";

/// What is said of a suite.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// As on the command line.
    pub suite: &'static str,
    /// One paragraph.
    pub text: &'static str,
}

/// The document for these runs. `suites` are in its order; a suite of which there is no run is left out.
#[must_use]
pub fn document(records: &[Record], suites: &[About], measured: &[Measured]) -> String {
    let mut text = HEAD.to_owned();
    for about in suites {
        let of: Vec<_> = records.iter().filter(|record| record.suite == about.suite).collect();
        if let Some(first) = of.first() {
            let _ = write!(text, "\n## {}\n\n{}\nVersion {}.\n\n", about.suite, about.text, first.version);
            table(&mut text, &of);
            again(&mut text, &of);
            reasons(&mut text, &of);
            tests(&mut text, &of);
        }
    }
    if !measured.is_empty() {
        figures(&mut text, measured);
    }
    text
}

/// What was measured, engine beside engine.
fn figures(text: &mut String, measured: &[Measured]) {
    text.push_str(MEASURED);
    for of in measured {
        let [enforced, opened, started] = [of.enforced, of.opened, of.started].map(quantiles);
        let engine = of.engine != Engine::None;
        let usage =
            if engine { format!("{:.0} MiB | {:.1} %", of.memory, of.processor) } else { " | ".to_owned() };
        let missed = if engine { of.missed.to_string() } else { String::new() };
        let Place { kernel, date, commit } = &of.place;
        let _ = writeln!(
            text,
            "| {} | {} | {enforced} | {missed} | {opened} | {started} | {usage} | {date} | {commit} | {kernel} |",
            of.engine.name(),
            of.workers
        );
    }
    text.push_str("\nAgain:\n\n    cargo conformance measure --write\n");
}

fn quantiles(of: Option<Quantiles>) -> String {
    of.map_or_else(String::new, |of| format!("{:.0} / {:.0} ({})", of.p50, of.p99, of.samples))
}

fn table(text: &mut String, records: &[&Record]) {
    text.push_str(
        "| run | engine | kube-proxy | addresses | workers | tests | passed | failed | skipped | seconds | date | commit | kernel |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (run, record) in (1..).zip(records) {
        let [passed, failed, skipped] = record.counts();
        let _ = writeln!(
            text,
            "| {run} | {} | {} | {} | {} | {} | {passed} | {failed} | {skipped} | {:.0} | {} | {} | {} |",
            record.engine.name(),
            record.kube_proxy.name(),
            record.families.name(),
            record.workers,
            record.selection,
            record.seconds,
            record.place.date,
            record.place.commit,
            record.place.kernel
        );
    }
}

fn again(text: &mut String, records: &[&Record]) {
    text.push_str("\nAgain:\n\n");
    let mut lines = BTreeSet::new();
    for record in records {
        let chosen = match &*record.selection {
            "all" => String::new(),
            other => format!(" --{other}"),
        };
        // The control of a run is part of it.
        let engine = if record.selection == "control" { Engine::Palisade } else { record.engine };
        lines.insert(format!(
            "    cargo conformance {} --engine {} --kube-proxy {} --family {} --workers {}{chosen} --write\n",
            record.suite,
            engine.name(),
            record.kube_proxy.name(),
            record.families.name(),
            record.workers
        ));
    }
    lines.iter().for_each(|line| text.push_str(line));
}

/// Why tests failed, except where nobody enforces, and why tests were skipped.
fn reasons(text: &mut String, records: &[&Record]) {
    let mut skipped: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut failed = String::new();
    for (run, record) in (1..).zip(records) {
        for spec in &record.specs {
            if spec.skipped() {
                skipped.entry(&spec.message).or_default().insert(&spec.name);
            } else if spec.failed() && record.engine != Engine::None {
                let _ = writeln!(
                    failed,
                    "- run {run}, {} after {:.0} s: {}\n\n{}",
                    spec.state,
                    spec.seconds,
                    spec.name,
                    quoted(&spec.message)
                );
            }
        }
    }
    if !failed.is_empty() {
        let _ = write!(text, "\nFailed:\n\n{failed}");
    }
    if !skipped.is_empty() {
        text.push_str("\nSkipped:\n\n");
        for (reason, names) in skipped {
            let _ = writeln!(text, "- {}: {reason}", names.into_iter().collect::<Vec<_>>().join("; "));
        }
    }
}

/// The first lines of a message, as text that is shown as it is, inside a list.
fn quoted(message: &str) -> String {
    const LINES: usize = 12;
    message.lines().take(LINES).fold(String::new(), |text, line| text + "      " + line + "\n")
}

/// One line a test: what it did in each run, with its seconds.
fn tests(text: &mut String, records: &[&Record]) {
    let mut tests: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (run, record) in records.iter().enumerate() {
        for spec in &record.specs {
            let cells = tests.entry(&spec.name).or_insert_with(|| vec![String::new(); records.len()]);
            cells[run] = match (spec.passed(), spec.skipped()) {
                (true, _) if spec.message.is_empty() => format!("{:.0} s", spec.seconds),
                (true, _) => format!("{:.0} s: {}", spec.seconds, spec.message.replace('|', "\\|")),
                (_, true) => "skipped".to_owned(),
                _ => format!("**{}** {:.0} s", spec.state, spec.seconds),
            };
        }
    }
    let runs = (1..=records.len()).map(|run| format!(" run {run} |")).collect::<String>();
    let rules = " --- |".repeat(records.len());
    let _ = write!(
        text,
        "\n<details><summary>Each test, with the seconds of those that passed</summary>\n\n| test |{runs}\n| --- |{rules}\n"
    );
    for (name, cells) in tests {
        let cells = cells.iter().map(|cell| format!(" {cell} |")).collect::<String>();
        let _ = writeln!(text, "| {} |{cells}", name.replace('|', "\\|"));
    }
    text.push_str("\n</details>\n");
}

#[cfg(test)]
mod tests {
    use super::{super::Spec, *};
    use crate::cluster::{Families, ProxyMode};

    #[test]
    fn a_failed_test_stays_in_the_document_with_its_message_and_several_runs_stand_together() {
        let spec = |name: &str, state: &str| Spec {
            name: name.to_owned(),
            state: state.to_owned(),
            seconds: 2.0,
            message: if state == "passed" { String::new() } else { format!("because of {name}") },
        };
        let record = |engine, families, specs| Record {
            suite: "netpol".to_owned(),
            version: "v1.2.3".to_owned(),
            selection: "all".to_owned(),
            engine,
            kube_proxy: ProxyMode::Nftables,
            families,
            workers: 3,
            place: Place {
                kernel: "6.1".to_owned(),
                date: "2026-01-02".to_owned(),
                commit: "abc".to_owned(),
            },
            seconds: 9.0,
            specs,
        };
        let records = [
            record(
                Engine::Palisade,
                Families::Ipv4,
                vec![spec("b", "failed"), spec("a", "passed"), spec("c", "skipped")],
            ),
            record(Engine::None, Families::Dual, vec![spec("a", "panicked")]),
        ];
        let text = document(
            &records,
            &[About { suite: "netpol", text: "About it." }, About { suite: "other", text: "Not run." }],
            &[],
        );
        for part in [
            "| 1 | palisade | nftables | ipv4 | 3 | all | 1 | 1 | 1 | 9 | 2026-01-02 | abc | 6.1 |",
            "| 2 | none | nftables | dual | 3 | all | 0 | 1 | 0 | 9 |",
            "- run 1, failed after 2 s: b\n\n      because of b\n",
            "- c: because of c\n",
            "| a | 2 s | **panicked** 2 s |\n| b | **failed** 2 s |  |\n| c | skipped |  |\n",
            "cargo conformance netpol --engine none --kube-proxy nftables --family dual --workers 3 --write",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains("Not run.") && !text.contains("because of a"), "{text}");
    }
}
