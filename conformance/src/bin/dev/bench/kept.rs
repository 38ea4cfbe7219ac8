//! What benchmarks printed when they ran last, each in a file of its own: a document of all of them takes no run of all.

use super::{BenchError, Budget, plots::Point};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The folder of the files.
pub(super) struct Folder(PathBuf);

/// A run of one benchmark.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// The crate and the benchmark: `compiler: compile`.
    pub(super) title: String,
    /// What it ran on, and when: names with what they are.
    pub(super) machine: Vec<(String, String)>,
    /// What it printed, without the lines about budgets and plots.
    pub(super) text: String,
    pub(super) budgets: Vec<Budget>,
    pub(super) points: Vec<Point>,
}

/// What stands before what a file says of the machine.
const MACHINE: &str = "machine: ";

impl Folder {
    pub(super) fn of(root: &Path) -> Self {
        Self(root.join("conformance/results/bench"))
    }

    /// Keeps a run in place of an earlier one of the same benchmark.
    pub(super) fn keep(
        &self,
        title: &str,
        machine: &[(&str, String)],
        printed: &str,
    ) -> Result<(), BenchError> {
        let path = self.0.join(format!("{}.txt", title.replace(": ", "-")));
        let machine: String =
            machine.iter().map(|(name, value)| format!("{MACHINE}{name} | {value}\n")).collect();
        let text = format!("{title}\n{machine}{printed}");
        fs::create_dir_all(&self.0).map_err(BenchError::write(&self.0))?;
        fs::write(&path, text).map_err(BenchError::write(&path))
    }

    /// All that are kept, by their titles; none where nothing was kept yet.
    pub(super) fn read(&self) -> Result<Vec<Report>, BenchError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| BenchError::Read { path, source }
        };
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed(&self.0))?,
        };
        let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>();
        let mut paths = paths.map_err(failed(&self.0))?;
        paths.sort();
        let report = |path: PathBuf| Ok(Report::of(&fs::read_to_string(&path).map_err(failed(&path))?));
        paths.into_iter().map(report).collect()
    }
}

impl Report {
    fn of(text: &str) -> Self {
        let (title, text) = text.split_once('\n').unwrap_or((text, ""));
        let mut report = Self { title: title.to_owned(), ..Self::default() };
        for line in text.split_inclusive('\n') {
            let machine = line.strip_prefix(MACHINE).and_then(|line| line.trim_end().split_once(" | "));
            if let Some((name, value)) = machine {
                report.machine.push((name.to_owned(), value.to_owned()));
            } else if let Some(budget) = Budget::read(line) {
                report.budgets.push(budget);
            } else if let Some(point) = Point::read(line) {
                report.points.push(point);
            } else {
                report.text += line;
            }
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_kept_in_place_of_an_earlier_one_and_read_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::of(root.path());
        assert!(folder.read().unwrap().is_empty());
        folder.keep("c: d", &[], "earlier\n").unwrap();
        folder.keep("a: b", &[], "other\n").unwrap();
        let printed = "figures\nbudget: x | 1 | 2 | met\nplot: t | x | y | s | 1 | 2\nmore\n";
        folder.keep("c: d", &[("kernel", "6 | 7".to_owned())], printed).unwrap();
        let [other, report] = &folder.read().unwrap()[..] else { panic!("two are kept") };
        assert_eq!((other.title.as_str(), other.text.as_str()), ("a: b", "other\n"));
        assert_eq!((report.title.as_str(), report.text.as_str()), ("c: d", "figures\nmore\n"));
        assert_eq!(report.machine, [("kernel".to_owned(), "6 | 7".to_owned())]);
        assert_eq!((report.budgets.len(), report.points.len()), (1, 1));
    }
}
