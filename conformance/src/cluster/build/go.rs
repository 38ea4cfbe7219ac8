//! The Go that builds: the machine's own if it is new enough, else a toolchain that any Go can fetch as a module.

use crate::{cluster::ClusterError, lab::LabError};
use serde::Deserialize;
use std::{
    env::consts::ARCH,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// From this minor version of Go 1 on, `go` fetches the toolchain that a module asks for by itself (go.dev/doc/toolchain).
const FETCHES_TOOLCHAINS: u32 = 21;

/// What `go mod download -json` says.
#[derive(Deserialize)]
struct Download {
    #[serde(rename = "Dir", default)]
    dir: PathBuf,
    #[serde(rename = "Error", default)]
    error: String,
}

/// A `go` that can build a module which asks for version `wanted`, such as `1.26.0`.
///
/// # Errors
/// [`ClusterError::NoGo`] if there is no Go at all, and what Go says if the toolchain cannot be fetched.
pub(super) fn program(wanted: &str) -> Result<PathBuf, ClusterError> {
    let version = Command::new("go").arg("version").output();
    let version = version.map_err(|e| ClusterError::NoGo(e, wanted.to_owned()))?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    if minor(&version).is_some_and(|minor| minor >= FETCHES_TOOLCHAINS) {
        return Ok("go".into());
    }
    let toolchain = fetch(wanted)?;
    make_executable(&toolchain.join("bin"))?;
    make_executable(&toolchain.join("pkg/tool"))?;
    Ok(toolchain.join("bin/go"))
}

/// The minor version in `go version go1.19.8 linux/amd64`.
fn minor(version: &str) -> Option<u32> {
    let numbers = version.split_whitespace().find_map(|word| word.strip_prefix("go1."))?;
    numbers.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn fetch(wanted: &str) -> Result<PathBuf, ClusterError> {
    let arch = match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let module = format!("golang.org/toolchain@v0.0.1-go{wanted}.linux-{arch}");
    eprintln!("fetching Go {wanted}, since this machine's Go is older");
    let output = Command::new("go").args(["mod", "download", "-json", &module]).current_dir("/").output();
    let output = output.map_err(|e| ClusterError::NoGo(e, wanted.to_owned()))?;
    let failed =
        |message: String| LabError::Command { command: format!("go mod download {module}"), message };
    let download: Download = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))?;
    if download.dir.is_dir() { Ok(download.dir) } else { Err(failed(download.error).into()) }
}

/// A module's files lose their permissions on the way.
fn make_executable(folder: &Path) -> Result<(), ClusterError> {
    let error = |path: &Path| ClusterError::io(path.display().to_string());
    for entry in fs::read_dir(folder).map_err(error(folder))? {
        let path = entry.map_err(error(folder))?.path();
        if path.is_dir() {
            make_executable(&path)?;
        } else {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(error(&path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minor_version_is_read() {
        assert_eq!(minor("go version go1.19.8 linux/amd64"), Some(19));
        assert_eq!(minor("go version go1.26 linux/amd64"), Some(26));
        assert_eq!(minor("go version devel linux/amd64"), None);
    }
}
