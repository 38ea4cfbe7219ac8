//! `docs/performance.md`, made of what the benchmarks printed.

use super::{Budget, goals, kept::Report, plots::Plot};
use std::fmt::Write;

/// What the figures mean, written by hand; behind [`REASONS`] why goals are missed, a line a goal.
pub(super) const NOTES: &str = include_str!("notes.md");

/// The heading that the document's readers do not see: each reason stands below the goals.
pub(super) const REASONS: &str = "\n## Goals that are missed\n";

/// The folder of the pictures, beside the document.
pub(super) const PICTURES: &str = "performance";

/// The whole document. Writing to a String cannot fail.
pub(super) fn text(reports: &[Report], plots: &[Plot]) -> String {
    let mut text = "# Performance\n\n<!-- Written by `cargo bench-all [NAME…] --write` from the runs in \
                    conformance/results/bench; run it again in place of editing. The words between the figures are in \
                    conformance/src/bin/dev/bench/notes.md. -->\n\n"
        .to_owned();
    // What all ran on stands once, what differs with each.
    let is_common = |line: &&(String, String)| reports.iter().all(|report| report.machine.contains(line));
    for (name, value) in reports.first().iter().flat_map(|first| first.machine.iter().filter(is_common)) {
        let _ = writeln!(text, "- {name}: {value}");
    }
    let (notes, reasons) = NOTES.split_once(REASONS).unwrap_or((NOTES, ""));
    let budgets: Vec<&Budget> = reports.iter().flat_map(|report| &report.budgets).collect();
    text += "\n## Goals\n\n";
    text += &goals::text(&budgets, reasons);
    text += "\n## Budgets\n\n| what | budget | measured | |\n| --- | --- | --- | --- |\n";
    for budget in budgets {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            budget.what, budget.limit, budget.measured, budget.verdict
        );
    }
    if !plots.is_empty() {
        text += "\n## How it grows\n\nBoth axes are logarithmic.\n";
    }
    for plot in plots {
        let _ = writeln!(text, "\n![{}]({PICTURES}/{})", plot.title, plot.file);
    }
    let _ = write!(text, "\n{notes}");
    for report in reports {
        let own = report.machine.iter().filter(|line| !is_common(line));
        let own: Vec<String> = own.map(|(name, value)| format!("{name} {value}")).collect();
        let own = if own.is_empty() { String::new() } else { format!("{}\n\n", own.join(", ")) };
        let figures = report.text.trim_matches('\n');
        let _ = writeln!(text, "\n## {}\n\n{own}```text\n{figures}\n```", report.title);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Budget;

    #[test]
    fn figures_stand_under_their_titles_and_budgets_in_one_table() {
        let machine = |date: &str| {
            let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            vec![line("date", date), line("kernel", "6")]
        };
        let report = |title: &str, date| Report {
            title: title.to_owned(),
            text: "\nfigures\n".to_owned(),
            machine: machine(date),
            budgets: Budget::read("budget: x | 1 | 2 | not met").into_iter().collect(),
            ..Report::default()
        };
        let plot = Plot { title: "G".to_owned(), file: "g.svg".to_owned(), svg: String::new() };
        let text = text(&[report("a: b", "today"), report("c: d", "yesterday")], &[plot]);
        assert!(text.contains("![G](performance/g.svg)\n"), "{text}");
        assert!(text.contains("-->\n\n- kernel: 6\n\n## Goals\n\n| what"), "{text}");
        assert!(!text.contains(REASONS), "{text}");
        assert!(text.contains("| x | 1 | 2 | not met |\n"), "{text}");
        assert!(text.contains("## a: b\n\ndate today\n\n```text\nfigures\n```\n"), "{text}");
        assert!(text.contains("## c: d\n\ndate yesterday\n\n```text\nfigures\n```\n"), "{text}");
    }
}
