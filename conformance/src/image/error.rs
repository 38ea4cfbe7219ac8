//! What can go wrong while an image is made.

use std::{io, path::PathBuf};

/// An error of an image. Each names the file or the value concerned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A name that no registry would take, or one without a registry or a tag.
    #[error(
        "`{0}` is not the full name of an image: those look like ghcr.io/owner/name:tag, in small letters"
    )]
    Reference(String),
    /// A path that is not absolute and plain.
    #[error(
        "`{0}` cannot be a path in an image: it must begin with a slash and have no empty part, `.` or `..`"
    )]
    Path(String),
    /// Two entries of one path, or one below a file.
    #[error("`{0}` is in the image already, as something else")]
    Taken(String),
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// What a program needs to start is not known, or not here.
    #[error("cannot tell which libraries {} needs: {why}", program.display())]
    Libraries {
        /// Which program.
        program: PathBuf,
        /// What the loader says.
        why: String,
    },
    /// The program of an image could not be built, or not so that another machine would build the same.
    #[error("{0}")]
    Build(String),
    /// There is no name for this machine's processor in images.
    #[error("images have no name for the architecture {0}")]
    Architecture(&'static str),
}

impl ImageError {
    /// A maker of [`ImageError::Io`] for `map_err`.
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
