//! Which files are tests, and which manifests they are about.

use crate::input::Source;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A path in which no tests can be found.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The system refuses.
    #[error("{}: {reason}", .path.display())]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// A folder without tests.
    #[error("{}: there is no test file here; they are called tests.yaml, test.yaml or SOMETHING.test.yaml", .0.display())]
    NoTests(PathBuf),
}

/// The test files that a path stands for: itself, or those in a folder, with `recursive` in the folders within it too.
///
/// # Errors
/// A path that is not there, a folder that cannot be read or has no test file.
pub fn test_files(path: &Path, recursive: bool) -> Result<Vec<PathBuf>, FilesError> {
    let unreadable = |reason| FilesError::Unreadable { path: path.to_owned(), reason };
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    walk(path, recursive, &mut found).map_err(unreadable)?;
    if found.is_empty() { Err(FilesError::NoTests(path.to_owned())) } else { Ok(found) }
}

fn walk(folder: &Path, recursive: bool, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for path in entries(folder)? {
        if path.is_dir() && !path.is_symlink() {
            if recursive {
                walk(&path, true, found)?;
            }
        } else if is_test_name(&path) {
            found.push(path);
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

fn is_test_name(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"));
    stem.is_some_and(|stem| matches!(stem, "test" | "tests") || stem.ends_with(".test"))
}

/// The manifests that a test file is about where nobody names them: `manifests/` beside it, else the files beside it that are
/// no tests.
///
/// # Errors
/// Those of reading the folder.
pub fn manifests_of(test_file: &Path) -> io::Result<Vec<Source>> {
    let folder = match test_file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let manifests = folder.join("manifests");
    if manifests.is_dir() {
        return Ok(vec![Source::Path(manifests)]);
    }
    let is_manifest = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        path.is_file()
            && ["yaml", "yml", "json"].contains(&ending)
            && !is_test_name(path)
            && path.file_name() != test_file.file_name()
    };
    Ok(entries(folder)?.into_iter().filter(is_manifest).map(Source::Path).collect())
}
