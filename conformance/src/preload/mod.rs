//! What befalls a `policyd` from below: a clock that jumps, a kernel that refuses what it is sent. Both are libraries that are
//! preloaded into it, built from the C beside this file; while nothing is asked of them they change nothing.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const SOURCES: [(&str, &str); 2] =
    [("clock", include_str!("clock.c")), ("refusing", include_str!("refusing.c"))];

/// Why there are no such libraries, or why nothing can be asked of them.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct PreloadError {
    /// What was tried.
    what: String,
    /// What the system says.
    source: io::Error,
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> PreloadError {
    let what = what.into();
    |source| PreloadError { what, source }
}

/// What the kernel is to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused<'a> {
    /// In each batch the so-many-th message about anything in a table, counted from 0; shorter batches are taken.
    Message(usize),
    /// Every set whose name ends in this.
    SetsThatEndIn(&'a str),
}

/// The libraries for one program.
#[derive(Debug)]
pub struct Preloaded {
    libraries: Vec<PathBuf>,
    offset: PathBuf,
    refused: PathBuf,
}

impl Preloaded {
    /// Builds them into a folder that is there already.
    ///
    /// # Errors
    /// [`PreloadError`] without a C compiler (`cc`, which Rust links with too), with what it says.
    pub fn build(folder: &Path) -> Result<Self, PreloadError> {
        let libraries = SOURCES.iter().map(|(name, source)| library(&folder.join(name), source));
        Ok(Self {
            libraries: libraries.collect::<Result<_, _>>()?,
            offset: folder.join("clock-offset"),
            refused: folder.join("kernel-refuses"),
        })
    }

    /// Environment variables of the program that they are for.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        let libraries: Vec<_> = self.libraries.iter().map(|library| library.as_os_str()).collect();
        vec![
            ("LD_PRELOAD", libraries.join(":".as_ref())),
            ("CLOCK_OFFSET", self.offset.clone().into()),
            ("KERNEL_REFUSES", self.refused.clone().into()),
        ]
    }

    /// Sets its wall clock to so many seconds from the machine's.
    ///
    /// # Errors
    /// [`PreloadError`] if a file cannot be written.
    pub fn set_clock(&self, seconds: i64) -> Result<(), PreloadError> {
        put(&self.offset, &format!("{seconds}"))
    }

    /// Lets the kernel refuse this until [`Self::take`].
    ///
    /// # Errors
    /// As [`Self::set_clock`].
    pub fn refuse(&self, what: Refused<'_>) -> Result<(), PreloadError> {
        match what {
            Refused::Message(place) => put(&self.refused, &place.to_string()),
            Refused::SetsThatEndIn(end) => put(&self.refused, end),
        }
    }

    /// Lets the kernel take everything again.
    ///
    /// # Errors
    /// [`PreloadError`] if it refused nothing.
    pub fn take(&self) -> Result<(), PreloadError> {
        fs::remove_file(&self.refused).map_err(failed(self.refused.display().to_string()))
    }
}

/// Replaces a file: whoever reads it has the old or the new.
fn put(path: &Path, text: &str) -> Result<(), PreloadError> {
    let new = path.with_extension("new");
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, path));
    written.map_err(failed(path.display().to_string()))
}

fn library(name: &Path, source: &str) -> Result<PathBuf, PreloadError> {
    let library = name.with_extension("so");
    let mut compiler = Command::new("cc");
    compiler.args(["-x", "c", "-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg("-");
    let compiler = compiler.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut compiler = compiler.map_err(failed("cc"))?;
    if let Some(mut stdin) = compiler.stdin.take() {
        stdin.write_all(source.as_bytes()).map_err(failed("cc"))?;
    }
    let output = compiler.wait_with_output().map_err(failed("cc"))?;
    if output.status.success() {
        return Ok(library);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(failed(format!("cc: {}", library.display()))(io::Error::other(said)))
}
