//! Runs that are kept: one file for each suite and kind of cluster, in `conformance/results`, from which the document is made.

use super::{Run, Spec, run::counts};
use crate::{
    cluster::{ClusterError, Engine, Families, ProxyMode},
    lab::LabError,
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Where they are.
pub const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results");

/// When and where something was found, and of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The kernel's release.
    pub kernel: String,
    /// The day, as `2026-11-27`, in UTC.
    pub date: String,
    /// The commit that was checked out.
    pub commit: String,
}

impl Place {
    /// Here and now.
    ///
    /// # Errors
    /// The kernel's release cannot be read; `date` or `git` cannot be started.
    pub fn here() -> Result<Self, ClusterError> {
        const RELEASE: &str = "/proc/sys/kernel/osrelease";
        Ok(Self {
            kernel: fs::read_to_string(RELEASE).map_err(ClusterError::io(RELEASE))?.trim().to_owned(),
            date: said("date", &["-u", "+%F"])?,
            commit: said("git", &["-C", env!("CARGO_MANIFEST_DIR"), "rev-parse", "--short", "HEAD"])?,
        })
    }
}

/// One run, and what was run when, where, on what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// As on the command line.
    pub suite: String,
    /// Of the suite.
    pub version: String,
    /// Which of its tests, in a word: `all`, `control`, `chosen`.
    pub selection: String,
    /// Who enforced.
    pub engine: Engine,
    /// The mode of kube-proxy.
    pub kube_proxy: ProxyMode,
    /// Addresses of nodes, pods and Services.
    pub families: Families,
    /// Worker nodes.
    pub workers: u8,
    /// When, where, of what.
    #[serde(flatten)]
    pub place: Place,
    /// Without the cluster's boot.
    pub seconds: f64,
    /// By name.
    pub specs: Vec<Spec>,
}

impl Record {
    /// A run as it is kept. `selection` is a word for which of the suite's tests it had.
    ///
    /// # Errors
    /// As [`Place::here`].
    pub fn new(suite: &str, version: &str, selection: &str, run: &Run) -> Result<Self, ClusterError> {
        let mut specs = run.specs.clone();
        specs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            suite: suite.to_owned(),
            version: version.to_owned(),
            selection: selection.to_owned(),
            engine: run.options.engine,
            kube_proxy: run.options.proxy,
            families: run.options.families,
            workers: run.options.workers,
            place: Place::here()?,
            seconds: run.took.as_secs_f64().round(),
            specs,
        })
    }

    /// How many passed, failed, were skipped.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        counts(&self.specs)
    }

    fn path(&self, folder: &Path) -> PathBuf {
        let families = self.families.name();
        let name = format!(
            "{}-{}-{}-{families}-{}.json",
            self.selection,
            self.engine.name(),
            self.kube_proxy.name(),
            self.workers
        );
        folder.join(&self.suite).join(name)
    }

    /// Keeps it in a folder, in the place of an earlier one of the same kind. Those of other versions of the suite go.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn keep(&self, folder: &Path) -> Result<(), ClusterError> {
        let path = self.path(folder);
        let error = |path: &Path| ClusterError::io(path.display().to_string());
        fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(error(&path))?;
        for other in Self::all(folder)? {
            if other.suite == self.suite && other.version != self.version {
                let path = other.path(folder);
                fs::remove_file(&path).map_err(error(&path))?;
            }
        }
        let mut text = serde_json::to_vec_pretty(self).map_err(|e| error(&path)(e.into()))?;
        text.push(b'\n');
        fs::write(&path, text).map_err(error(&path))
    }

    /// All that are kept in a folder: Palisade's first, then the controls.
    ///
    /// # Errors
    /// The folder or a file cannot be read; the error names it.
    pub fn all(folder: &Path) -> Result<Vec<Self>, ClusterError> {
        let error = |path: &Path| ClusterError::io(path.display().to_string());
        let mut all = Vec::new();
        for suite in entries(folder)? {
            // Benchmarks keep what they print beside them.
            let records =
                entries(&suite)?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "json"));
            for path in records {
                let text = fs::read(&path).map_err(error(&path))?;
                all.push(serde_json::from_slice::<Self>(&text).map_err(|e| error(&path)(e.into()))?);
            }
        }
        all.sort_by_key(|record| {
            let Self { suite, engine, selection, families, kube_proxy, workers, .. } = record;
            // The usual cluster comes first.
            let unusual = (kube_proxy.name() != "nftables", *families != Families::Ipv4, *workers != 3);
            (suite.clone(), *engine, selection.clone(), unusual, families.name(), *workers)
        });
        Ok(all)
    }
}

/// What is in a folder, if there is one.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, ClusterError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let error = || ClusterError::io(folder.display().to_string());
    let entries = fs::read_dir(folder).map_err(error())?;
    entries.map(|entry| Ok(entry.map_err(error())?.path())).collect()
}

/// What a program prints.
fn said(program: &str, arguments: &[&str]) -> Result<String, ClusterError> {
    let output = Command::new(program).args(arguments).output().map_err(ClusterError::io(program))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LabError::Command { command: format!("{program} {}", arguments.join(" ")), message }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(version: &str, engine: Engine, seconds: f64) -> Record {
        Record {
            suite: "netpol".to_owned(),
            version: version.to_owned(),
            selection: "all".to_owned(),
            engine,
            kube_proxy: ProxyMode::Nftables,
            families: Families::Ipv4,
            workers: 3,
            place: Place {
                kernel: "6.1".to_owned(),
                date: "2026-01-02".to_owned(),
                commit: "abc".to_owned(),
            },
            seconds,
            specs: Vec::new(),
        }
    }

    #[test]
    fn a_run_takes_the_place_of_its_like_and_of_those_of_other_versions() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        record("v1", Engine::Palisade, 1.0).keep(folder).unwrap();
        record("v1", Engine::None, 1.0).keep(folder).unwrap();
        record("v1", Engine::Palisade, 2.0).keep(folder).unwrap();
        let found = |folder| Record::all(folder).unwrap().into_iter().map(|r| (r.engine, r.seconds));
        assert!(found(folder).eq([(Engine::Palisade, 2.0), (Engine::None, 1.0)]));
        record("v2", Engine::KubeRouter, 3.0).keep(folder).unwrap();
        assert!(found(folder).eq([(Engine::KubeRouter, 3.0)]));
    }

    #[test]
    fn all_that_are_kept_in_this_repository_can_be_read() {
        let all = Record::all(Path::new(crate::suite::RESULTS)).unwrap();
        assert!(all.len() > 5, "{} runs, beside what benchmarks keep", all.len());
    }
}
