//! Loading a kernel module with the host's own `modprobe`: a container has neither that program nor the modules.

use nix::{
    sched::{CloneFlags, unshare},
    unistd::{chdir, chroot},
};
use std::{
    io,
    path::Path,
    process::{Command, Stdio},
    thread,
};

/// Where hosts keep `modprobe`; the last is NixOS.
const PATH: &str = "/usr/sbin:/sbin:/usr/bin:/bin:/run/current-system/sw/bin";

/// Why a module is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// `--host-root` is no folder that can be entered.
    #[error("{root} cannot be entered as the host's root: {reason}")]
    Root {
        /// As given.
        root: String,
        /// The kernel's words.
        reason: io::Error,
    },
    /// The host has no `modprobe`.
    #[error("there is no modprobe in {path} of {root}")]
    NoModprobe {
        /// Folders that were looked through.
        path: &'static str,
        /// Below this folder.
        root: String,
    },
    /// It could not be started.
    #[error("modprobe cannot be started: {0}")]
    Start(io::Error),
    /// It ran and failed.
    #[error("modprobe {module}: {said}")]
    Refused {
        /// The module's name.
        module: String,
        /// Its own words.
        said: String,
    },
}

/// Loads it; one that is loaded or built in already is no error.
///
/// # Errors
/// See [`LoadError`].
pub fn load(module: &str, root: &Path) -> Result<(), LoadError> {
    // A thread of its own, with a root of its own: the rest of this process keeps the container's.
    let run = || {
        if root != Path::new("/") {
            enter(root).map_err(|reason| LoadError::Root { root: root.display().to_string(), reason })?;
        }
        modprobe(module, root)
    };
    let ended = thread::scope(|scope| scope.spawn(run).join());
    ended.unwrap_or_else(|_| Err(LoadError::Start(io::Error::other("its thread has ended"))))
}

fn enter(root: &Path) -> io::Result<()> {
    unshare(CloneFlags::CLONE_FS)?;
    chroot(root)?;
    chdir("/")?;
    Ok(())
}

fn modprobe(module: &str, root: &Path) -> Result<(), LoadError> {
    // Not /dev/null: below the host's root there may be no /dev.
    let mut command = Command::new("modprobe");
    command.arg(module).env("PATH", PATH).stdin(Stdio::inherit());
    let output = command.output().map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => LoadError::NoModprobe { path: PATH, root: root.display().to_string() },
        _ => LoadError::Start(e),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let said = if said.is_empty() { output.status.to_string() } else { said };
    Err(LoadError::Refused { module: module.into(), said })
}
