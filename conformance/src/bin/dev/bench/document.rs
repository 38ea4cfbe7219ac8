//! `docs/performance.md`, made of what the benchmarks printed.

use super::Report;
use std::fmt::Write;

/// What the figures mean, written by hand.
const NOTES: &str = include_str!("notes.md");

/// The whole document. Writing to a String cannot fail.
pub(super) fn text(machine: &[(&str, String)], reports: &[Report]) -> String {
    let mut text = "# Performance\n\n<!-- Written by `cargo bench-all --write`; run it again in place of editing. The words \
                    between the figures are in conformance/src/bin/dev/bench/notes.md. -->\n\n"
        .to_owned();
    for (name, value) in machine {
        let _ = writeln!(text, "- {name}: {value}");
    }
    text += "\n## Budgets\n\n| what | budget | measured | |\n| --- | --- | --- | --- |\n";
    for budget in reports.iter().flat_map(|report| &report.budgets) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            budget.what, budget.limit, budget.measured, budget.verdict
        );
    }
    let _ = write!(text, "\n{NOTES}");
    for report in reports {
        let _ = writeln!(text, "\n## {}\n\n```text\n{}\n```", report.title, report.text.trim_matches('\n'));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Budget;

    #[test]
    fn figures_stand_under_their_titles_and_budgets_in_one_table() {
        let mut report =
            Report { title: "a: b".to_owned(), text: "\nfigures\n".to_owned(), budgets: Vec::new() };
        report.budgets.extend(Budget::read("budget: x | 1 | 2 | not met"));
        let text = text(&[("kernel", "6".to_owned())], &[report]);
        assert!(text.contains("- kernel: 6\n"), "{text}");
        assert!(text.contains("| x | 1 | 2 | not met |\n"), "{text}");
        assert!(text.contains("## a: b\n\n```text\nfigures\n```\n"), "{text}");
    }
}
