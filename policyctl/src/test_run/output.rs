//! Results for people, for programs and for pipelines.

use super::{FileReport, Outcome, Refused, counts};
use crate::{
    assertions::Require,
    explain,
    input::Snapshot,
    style::{Style, Tone},
    xml::{escaped, escaped_text},
};
use serde_json::{Value, json};
use std::fmt::Write;

/// Results with the snapshots that they are about, which explanations name places in.
pub type Reports<'a> = [(&'a Snapshot, &'a FileReport)];

/// A line a test, under it what fails and why.
#[must_use]
pub fn table(reports: &Reports<'_>, style: Style) -> String {
    let mut out = String::new();
    for (snapshot, report) in reports {
        let _ = writeln!(out, "{}", style.paint(Tone::Strong, &report.file));
        for test in tests(report) {
            let holds = test.iter().all(|outcome| outcome.holds());
            let word = if holds { style.paint(Tone::Good, "ok  ") } else { style.paint(Tone::Bad, "FAIL") };
            let _ = writeln!(out, "  {word}  {}", test[0].test);
            for outcome in test.iter().filter(|outcome| !outcome.holds()) {
                let _ =
                    writeln!(out, "        {}:{}  {}", report.file, outcome.place.line, headline(outcome));
                let _ = write!(out, "{}", indented(&why(snapshot, outcome, style), 10));
            }
        }
    }
    let all: Vec<FileReport> = reports.iter().map(|(_, report)| (*report).clone()).collect();
    let (held, failed) = counts(&all);
    let files = if all.len() == 1 { "1 file".to_owned() } else { format!("{} files", all.len()) };
    let end = match failed {
        0 if held == 0 => style.paint(Tone::Bad, "no assertion could be checked"),
        0 => style.paint(Tone::Good, &format!("all {held} assertions hold")),
        1 => style.paint(Tone::Bad, &format!("1 of {} assertions fails", held + failed)),
        _ => style.paint(Tone::Bad, &format!("{failed} of {} assertions fail", held + failed)),
    };
    out + &format!("\n{files}: {end}\n")
}

/// The assertions of each test; a test's assertions stand together.
fn tests(report: &FileReport) -> Vec<&[Outcome]> {
    report.outcomes.chunk_by(|a, b| a.test == b.test).collect()
}

/// `shop/front -> shop/db:5432 expected Denied, is Allowed (1 of 2 flows)`.
fn headline(outcome: &Outcome) -> String {
    let Outcome { about, expect, flows, failures, .. } = outcome;
    let of = if *flows == 1 { String::new() } else { format!(" ({} of {flows} flows)", failures.len()) };
    format!("{about}  expected {expect}, is {}{of}", outcome.answer())
}

/// Why the flows that fail are as they are.
fn why(snapshot: &Snapshot, outcome: &Outcome, style: Style) -> String {
    let mut out = String::new();
    let mut style = style;
    style.width = style.width.saturating_sub(10).max(60);
    for failure in &outcome.failures {
        if let Some(explanation) = &failure.explanation {
            out += &explain::text(snapshot, explanation, style);
        }
    }
    let unexplained: Vec<_> =
        outcome.failures.iter().filter(|failure| failure.explanation.is_none()).collect();
    const NAMED: usize = 3;
    for failure in unexplained.iter().take(NAMED) {
        let _ = writeln!(out, "also  {}", failure.flow);
    }
    if unexplained.len() > NAMED {
        let _ = writeln!(out, "and {} more flows", unexplained.len() - NAMED);
    }
    out
}

fn indented(text: &str, by: usize) -> String {
    text.lines()
        .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{:by$}{line}\n", "") })
        .collect()
}

/// `{"kind":"TestReport","files":[…],"refused":[…],"passed":n,"failed":n}`.
#[must_use]
pub fn json(reports: &Reports<'_>, refused: &[Refused]) -> Value {
    let files: Vec<Value> = reports
        .iter()
        .map(|(snapshot, report)| {
            let tests: Vec<Value> = tests(report).into_iter().map(|test| test_json(snapshot, test)).collect();
            json!({ "file": report.file, "tests": tests })
        })
        .collect();
    let all: Vec<FileReport> = reports.iter().map(|(_, report)| (*report).clone()).collect();
    let (passed, failed) = counts(&all);
    let refused: Vec<Value> =
        refused.iter().map(|Refused { file, faults }| json!({ "file": file, "faults": faults })).collect();
    json!({ "kind": "TestReport", "files": files, "refused": refused, "passed": passed, "failed": failed })
}

fn test_json(snapshot: &Snapshot, test: &[Outcome]) -> Value {
    let assertions: Vec<Value> = test
        .iter()
        .map(|outcome| {
            let failures: Vec<Value> = outcome
                .failures
                .iter()
                .map(|failure| {
                    let why =
                        failure.explanation.as_ref().map(|explanation| explain::json(snapshot, explanation));
                    json!({ "flow": failure.flow, "explanation": why })
                })
                .collect();
            json!({
                "about": outcome.about,
                "line": outcome.place.line,
                "column": outcome.place.column,
                "expect": outcome.expect.to_string(),
                "require": match outcome.require {
                    Require::Every => "every",
                    Require::Any => "any",
                },
                "passed": outcome.holds(),
                "flows": outcome.flows,
                "failures": failures,
            })
        })
        .collect();
    json!({ "name": &*test[0].test, "passed": test.iter().all(Outcome::holds), "assertions": assertions })
}

/// JUnit XML: a suite a file, a case an assertion. A file that is refused is a suite whose only case has an error.
#[must_use]
pub fn junit(reports: &Reports<'_>, refused: &[Refused]) -> String {
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for (snapshot, report) in reports {
        let failed = report.outcomes.iter().filter(|outcome| !outcome.holds()).count();
        let _ = writeln!(
            xml,
            "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\">",
            escaped(&report.file),
            report.outcomes.len()
        );
        for outcome in &report.outcomes {
            let name = format!("{} expected {}", outcome.about, outcome.expect);
            let _ = write!(
                xml,
                "<testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\"",
                escaped(&outcome.test),
                escaped(&name),
                escaped(&report.file),
                outcome.place.line
            );
            if outcome.holds() {
                xml += "/>\n";
            } else {
                let text = why(snapshot, outcome, Style::plain());
                let _ = writeln!(
                    xml,
                    ">\n<failure type=\"verdict\" message=\"{}\">{}</failure>\n</testcase>",
                    escaped(&headline(outcome)),
                    escaped_text(&text)
                );
            }
        }
        xml += "</testsuite>\n";
    }
    for Refused { file, faults } in refused {
        let file = escaped(file);
        let _ = writeln!(
            xml,
            "<testsuite name=\"{file}\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\">\n\
             <testcase classname=\"{file}\" name=\"{READABLE}\" file=\"{file}\">\n\
             <error type=\"input\" message=\"{}\">{}</error>\n</testcase>\n</testsuite>",
            escaped(faults.first().map(String::as_str).unwrap_or_default()),
            escaped_text(&faults.join("\n"))
        );
    }
    xml + "</testsuites>\n"
}

/// What a file that is refused fails.
const READABLE: &str = "the test file can be used";

/// TAP version 13 (<https://testanything.org/tap-version-13-specification.html>): a point an assertion, and one that fails
/// for each file that is refused.
#[must_use]
pub fn tap(reports: &Reports<'_>, refused: &[Refused]) -> String {
    let count: usize = reports.iter().map(|(_, report)| report.outcomes.len()).sum();
    let mut out = format!("TAP version 13\n1..{}\n", count + refused.len());
    // A hash would begin a directive.
    let description = |text: &str| text.replace(['\n', '\r'], " ").replace('#', "\\#");
    let outcomes = reports.iter().flat_map(|(snapshot, report)| {
        report.outcomes.iter().map(move |outcome| (snapshot, report, outcome))
    });
    for (number, (snapshot, report, outcome)) in outcomes.enumerate() {
        let word = if outcome.holds() { "ok" } else { "not ok" };
        let name = format!("{}: {} expected {}", outcome.test, outcome.about, outcome.expect);
        let _ = writeln!(out, "{word} {} - {}", number + 1, description(&name));
        if !outcome.holds() {
            let text = indented(&why(snapshot, outcome, Style::plain()), 4);
            let _ = write!(
                out,
                "  ---\n  message: {}\n  at: {}\n  explanation: |\n{text}  ...\n",
                Value::from(headline(outcome)),
                Value::from(format!("{}:{}", report.file, outcome.place)),
            );
        }
    }
    for (index, Refused { file, faults }) in refused.iter().enumerate() {
        let number = count + index + 1;
        let _ = writeln!(out, "not ok {number} - {}: {READABLE}", description(file));
        let _ = writeln!(out, "  ---\n  message: {}\n  ...", Value::from(faults.join("; ")));
    }
    out
}
