//! `cargo bench-all`: every benchmark target of the workspace, one after the other, and what they say about the budgets.

mod document;
pub(crate) mod machine;

use crate::{
    runner::{self, RunError},
    workspace::{self, Workspace, WorkspaceError},
};
use std::{fs, io, path::PathBuf};

/// Which benchmarks to run, and what to do with what they print.
#[derive(clap::Args)]
pub(crate) struct Choice {
    /// Only benchmarks whose name contains one of these.
    names: Vec<String>,
    /// Write docs/performance.md from this run.
    #[arg(long, conflicts_with = "names")]
    write: bool,
}

/// The benchmarks could not be run, or their figures not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("no benchmark is called {}: there are {}", asked.join(" or "), known.join(", "))]
    Unknown { asked: Vec<String>, known: Vec<String> },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// What one benchmark printed.
struct Report {
    /// The crate and the benchmark: `compiler: compile`.
    title: String,
    /// What it printed, without the lines about budgets.
    text: String,
    budgets: Vec<Budget>,
}

/// A line `budget: what | limit | measured | verdict`.
#[derive(Debug, PartialEq, Eq)]
struct Budget {
    what: String,
    limit: String,
    measured: String,
    verdict: String,
}

impl Budget {
    /// Reads such a line; `None` if it is another.
    fn read(line: &str) -> Option<Self> {
        let mut parts = line.strip_prefix("budget: ")?.split(" | ").map(|part| part.trim().to_owned());
        let mut part = || parts.next();
        Some(Self { what: part()?, limit: part()?, measured: part()?, verdict: part()? })
    }
}

/// Runs the chosen benchmarks; `true` if all ran to their end. A budget that is not kept is told, and is no failure.
pub(crate) fn run(choice: &Choice) -> Result<bool, BenchError> {
    let workspace = Workspace::read()?;
    let targets: Vec<(&str, &str)> = workspace
        .packages
        .iter()
        .flat_map(|package| package.targets.iter().map(move |target| (package, target)))
        .filter(|(_, target)| target.kind.iter().any(|kind| kind == "bench"))
        .map(|(package, target)| (package.name.as_str(), target.name.as_str()))
        .collect();
    let wanted = |name: &str| choice.names.is_empty() || choice.names.iter().any(|part| name.contains(part));
    let chosen: Vec<_> = targets.iter().filter(|(_, name)| wanted(name)).collect();
    if chosen.is_empty() {
        let known = targets.iter().map(|(_, name)| (*name).to_owned()).collect();
        return Err(BenchError::Unknown { asked: choice.names.clone(), known });
    }
    let mut reports = Vec::new();
    let mut all_ran = true;
    for (package, name) in chosen {
        println!("{package}: {name}");
        let mut command = workspace::cargo();
        command.current_dir(&workspace.workspace_root).args(["bench", "--package", package, "--bench", name]);
        let mut report =
            Report { title: format!("{package}: {name}"), text: String::new(), budgets: Vec::new() };
        let outcome = runner::run_with(&mut command, |line| report.add(&String::from_utf8_lossy(line)))?;
        all_ran &= outcome.success;
        reports.push(report);
        println!();
    }
    if choice.write && all_ran {
        let path = workspace.workspace_root.join("docs/performance.md");
        let text = document::text(&machine::read(&workspace.workspace_root), &reports);
        fs::write(&path, text).map_err(|source| BenchError::Write { path: path.clone(), source })?;
        println!("wrote {}", path.display());
    }
    Ok(all_ran)
}

impl Report {
    fn add(&mut self, line: &str) {
        match Budget::read(line) {
            Some(budget) => self.budgets.push(budget),
            None => self.text += line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_line_is_read_and_no_other() {
        let budget = Budget::read("budget: a thing | 80 ns | 75 ns [70, 79] | met\n");
        let part = str::to_owned;
        let wanted = Budget {
            what: part("a thing"),
            limit: part("80 ns"),
            measured: part("75 ns [70, 79]"),
            verdict: part("met"),
        };
        assert_eq!(budget, Some(wanted));
        assert_eq!(Budget::read("a thing | 80 ns | 75 ns | met"), None);
        assert_eq!(Budget::read("budget: a thing | 80 ns"), None);
    }
}
