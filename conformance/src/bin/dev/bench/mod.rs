//! `cargo bench-all`: every benchmark target of the workspace, one after the other, and what they say about the budgets.

mod document;
mod goals;
mod kept;
pub(crate) mod machine;
mod plots;

use crate::{
    runner::{self, RunError},
    workspace::{self, Workspace, WorkspaceError},
};
use conformance::cluster::{self, ClusterError};
use kept::Report;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Which benchmarks to run, and what to do with what they print.
#[derive(clap::Args)]
pub(crate) struct Choice {
    /// Only benchmarks whose name contains one of these.
    names: Vec<String>,
    /// Keep what they print, and write docs/performance.md from all that is kept.
    #[arg(long, conflicts_with = "options")]
    write: bool,
    /// Run none; write docs/performance.md from all that is kept, as after a change of the words between the figures.
    #[arg(long, conflicts_with_all = ["names", "write", "options"])]
    document: bool,
    /// Options of the benchmarks, such as `--small` or `--rounds 5`: to see that they run, not to keep what they say.
    #[arg(last = true)]
    options: Vec<String>,
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
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
}

impl BenchError {
    fn write(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        |source| Self::Write { path, source }
    }
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
    let kept = kept::Folder::of(&workspace.workspace_root);
    let docs = workspace.workspace_root.join("docs");
    if choice.document {
        write(&docs, &kept.read()?)?;
        return Ok(true);
    }
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
    let mut all_ran = true;
    for (package, name) in chosen {
        println!("{package}: {name}");
        let mut command = workspace::cargo();
        command.current_dir(&workspace.workspace_root).args(["bench", "--package", package, "--bench", name]);
        if *name == "policyctl" {
            command.env("PALISADE_CYCLONUS", cluster::cyclonus()?);
        }
        if !choice.options.is_empty() {
            command.arg("--").args(&choice.options);
        }
        let mut printed = String::new();
        let outcome = runner::run(&mut command, |line| printed += &String::from_utf8_lossy(line))?;
        all_ran &= outcome.success;
        if choice.write && outcome.success {
            kept.keep(&format!("{package}: {name}"), &machine::read(&workspace.workspace_root), &printed)?;
        }
        println!();
    }
    if choice.write {
        write(&docs, &kept.read()?)?;
    }
    Ok(all_ran)
}

/// Writes the document, and its pictures in place of all that were there.
fn write(docs: &Path, reports: &[Report]) -> Result<(), BenchError> {
    let failed = BenchError::write;
    let points: Vec<plots::Point> = reports.iter().flat_map(|report| report.points.iter().cloned()).collect();
    let plots = plots::plots(&points);
    let pictures = docs.join(document::PICTURES);
    match fs::remove_dir_all(&pictures) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&pictures)(error)),
        _ => fs::create_dir_all(&pictures).map_err(failed(&pictures))?,
    }
    for plot in &plots {
        let path = pictures.join(&plot.file);
        fs::write(&path, &plot.svg).map_err(failed(&path))?;
    }
    let path = docs.join("performance.md");
    fs::write(&path, document::text(reports, &plots)).map_err(failed(&path))?;
    println!("wrote {} and {} pictures in {}", path.display(), plots.len(), pictures.display());
    Ok(())
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
