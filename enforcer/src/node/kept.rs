//! Small files of the state folder: what was there before policyd changed it.

use serde::{Serialize, de::DeserializeOwned};
use std::{fs, io, path::Path};

/// What an earlier run has kept; `None`: nothing.
///
/// # Errors
/// The file is there and cannot be read or understood.
pub(super) fn read<T: DeserializeOwned>(file: &Path) -> io::Result<Option<T>> {
    match fs::read(file) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(io::Error::from),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Written beside and renamed: a half-written file would lose what was there.
///
/// # Errors
/// The folder cannot be made, or not be written to.
pub(super) fn write<T: Serialize>(file: &Path, kept: &T) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = file.with_extension("new");
    fs::write(&draft, serde_json::to_vec(kept)?)?;
    fs::rename(&draft, file)
}

/// Removes the file if it is there.
///
/// # Errors
/// It cannot be removed.
pub(super) fn forget(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
