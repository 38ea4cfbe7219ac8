//! What cargo knows about this workspace.

use serde::Deserialize;
use std::{path::PathBuf, process::Command};

/// The part of `cargo metadata` that the commands need.
#[derive(Deserialize)]
pub(crate) struct Workspace {
    /// Where `Cargo.toml` of the workspace lies; commands run there.
    pub(crate) workspace_root: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target_directory: PathBuf,
    /// The member crates.
    pub(crate) packages: Vec<Package>,
}

/// A member crate.
#[derive(Deserialize)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// What it builds.
    pub(crate) targets: Vec<Target>,
}

/// A library, program, test or benchmark of a crate.
#[derive(Deserialize)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: String,
    /// Such as `lib`, `bin`, `test`, `bench`.
    pub(crate) kind: Vec<String>,
}

/// Cargo did not say what the workspace is like.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkspaceError {
    #[error("cannot start cargo: {0}")]
    Start(#[source] std::io::Error),
    #[error("`cargo metadata` failed: {0}")]
    Refused(String),
    #[error("`cargo metadata` printed something unexpected: {0}")]
    Format(#[from] serde_json::Error),
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn read() -> Result<Self, WorkspaceError> {
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .output()
            .map_err(WorkspaceError::Start)?;
        if !output.status.success() {
            return Err(WorkspaceError::Refused(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// The cargo that started this program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_package(&mut command);
    command
}

/// Hides from a command which package `cargo run` has started.
pub(crate) fn forget_package(command: &mut Command) {
    // What `cargo run` says of this program's package is no other package's business: build scripts look at it, and would
    // be built anew each time that somebody builds without us.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_")
            || name == "CARGO_MANIFEST_DIR"
            || name == "CARGO_MANIFEST_PATH"
        {
            command.env_remove(name);
        }
    }
}
