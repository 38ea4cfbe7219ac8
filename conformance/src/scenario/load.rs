//! Reading a scenario's folder.

use super::Scenario;
use policy_model::{cluster::Cluster, manifest};
use policyctl::{assertions::TestFile, endpoint::Slices};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// A scenario that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file or folder that cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Manifests or tests that are wrong: a line a fault.
    #[error("{}:\n{}", folder.display(), faults.join("\n"))]
    Faults {
        /// The scenario.
        folder: PathBuf,
        /// Each with its file and place.
        faults: Vec<String>,
    },
}

/// Reads `manifests/` and `tests.yaml` of a folder.
///
/// # Errors
/// If a file cannot be read, or says anything that is not understood: a scenario is there to be exact.
pub fn load(folder: &Path) -> Result<Scenario, LoadError> {
    let mut faults = Vec::new();
    let cluster = read_manifests(&folder.join("manifests"), &mut faults)?;
    let tests = read(&folder.join("tests.yaml"))?;
    let assertions = match TestFile::parse(&tests).and_then(|file| file.resolve(&cluster, &Slices::new())) {
        Ok(assertions) => assertions,
        Err(errors) => {
            faults.extend(errors.iter().map(|error| format!("tests.yaml:{error}")));
            Vec::new()
        }
    };
    if faults.is_empty() {
        return Ok(Scenario { folder: folder.to_owned(), cluster, assertions });
    }
    Err(LoadError::Faults { folder: folder.to_owned(), faults })
}

/// Reads a folder of manifests.
///
/// # Errors
/// As [`load`].
pub fn load_cluster(folder: &Path) -> Result<Cluster, LoadError> {
    let mut faults = Vec::new();
    let cluster = read_manifests(folder, &mut faults)?;
    if faults.is_empty() {
        return Ok(cluster);
    }
    Err(LoadError::Faults { folder: folder.to_owned(), faults })
}

/// The objects of all files of a folder, in the order of the files' names.
fn read_manifests(folder: &Path, faults: &mut Vec<String>) -> Result<Cluster, LoadError> {
    let error = |source| LoadError::Read { path: folder.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(error)?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().map_err(error)?;
    files.sort();
    let mut cluster = Cluster::new();
    let mut seen = BTreeSet::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let parsed = manifest::parse(&name, &read(&file)?);
        faults.extend(parsed.problems.iter().map(ToString::to_string));
        let skipped = parsed.skipped.iter();
        faults.extend(skipped.map(|s| format!("{}: {} is no kind that policy needs", s.location, s.kind)));
        for object in parsed.objects {
            let (name, location) = (object.value.to_string(), object.location);
            if !seen.insert(name.clone()) {
                faults.push(format!("{location}: {name} is defined twice"));
            }
            cluster.extend(object.value.into_change());
        }
    }
    Ok(cluster)
}

fn read(path: &Path) -> Result<String, LoadError> {
    fs::read_to_string(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })
}
