//! The last state of the cluster's objects, kept on disk: a node that boots while the API server is away begins with it.
//!
//! ```text
//!   {"palisade":"objects","version":1,"node":"w1"}
//!   {"kind":"Namespace","metadata":…}          an object a line, in the API's own form
//!   …
//!   {"objects":11000,"sha256":"…"}             over everything before
//! ```
//!
//! It holds what policy sees, so also policies that are only held because their namespace's pods have not gone yet. A file
//! that is torn, changed, or of another version is said and not used: then it is as on a node that was never up.

mod file;
mod keeper;
mod objects;

pub use file::{StateError, read, write};
pub use keeper::Keeper;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The file in the state folder.
#[must_use]
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("objects.jsonl")
}

/// Removes the file, if there is one.
///
/// # Errors
/// The folder cannot be written.
pub fn forget(state_dir: &Path) -> io::Result<()> {
    match fs::remove_file(path(state_dir)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
