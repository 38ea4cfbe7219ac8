//! A build that tells nothing of the machine it was made on: the same sources, compiler and C libraries give the same bytes in
//! any folder.
//!
//! A panic says in which file it came about, so that a program holds the paths of all its sources: the registry's folder, the
//! workspace, what build scripts wrote. `rustc --remap-path-prefix` writes others for them. Cargo's `trim-paths` would do the
//! same; it is not stable (Rust 1.95).

use super::ImageError;
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What of `cargo metadata` says where sources are.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: PathBuf,
    /// `None` for members of the workspace.
    source: Option<String>,
}

/// Folders of this machine and what a program calls them.
struct Folders(Vec<(PathBuf, String)>);

/// Builds the release profile of `package`, whose program is called `program`, from the workspace at `root` into `target`, and
/// gives the program's path. `cargo` is a command to ask with, without arguments.
///
/// `target` is best a folder of its own: cargo calls what it builds the same with and without these flags, so that each build
/// would throw away the other.
///
/// # Errors
/// [`ImageError::Build`] when cargo or rustc refuse, or the program still holds a path of this machine; [`ImageError::Io`].
pub fn build(
    cargo: impl Fn() -> Command,
    root: &Path,
    package: &str,
    program: &str,
    target: &Path,
) -> Result<PathBuf, ImageError> {
    let folders = Folders::of(&cargo, root, target)?;
    let mut command = cargo();
    command.args(["build", "--release", "--locked", "--package", package, "--target-dir"]).arg(target);
    // These count for cargo above all other flags, so that what somebody has set for other builds is not in this one.
    command.env("CARGO_ENCODED_RUSTFLAGS", folders.flags()).env_remove("RUSTFLAGS").current_dir(root);
    let status = command.status().map_err(|e| ImageError::Build(format!("cargo cannot be started: {e}")))?;
    if !status.success() {
        return Err(ImageError::Build(format!("cargo could not build {package}")));
    }
    let path = target.join("release").join(program);
    let bytes = fs::read(&path).map_err(ImageError::io(&path))?;
    match folders.told_by(&bytes) {
        Some(told) => Err(ImageError::Build(format!(
            "{} holds {}, a path of this machine: another one would build other bytes",
            path.display(),
            told.display()
        ))),
        None => Ok(path),
    }
}

impl Folders {
    fn of(cargo: impl Fn() -> Command, root: &Path, target: &Path) -> Result<Self, ImageError> {
        let metadata =
            answer(cargo().args(["metadata", "--format-version", "1", "--locked"]).current_dir(root))?;
        let metadata: Metadata = serde_json::from_slice(&metadata)
            .map_err(|e| ImageError::Build(format!("cargo metadata printed something unexpected: {e}")))?;
        // A registry's crates lie beside each other, and so do those of `cargo vendor`.
        let crates = metadata.packages.iter().filter(|package| package.source.is_some());
        let crates: BTreeSet<&Path> =
            crates.filter_map(|package| package.manifest_path.parent()?.parent()).collect();
        let mut folders = vec![(metadata.workspace_root, "/palisade".to_owned())];
        folders.extend(crates.into_iter().map(|folder| (folder.to_owned(), "/crates".to_owned())));
        folders.push((target.to_owned(), "/target".to_owned()));
        let rustc = || Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        let sysroot = answer(rustc().args(["--print", "sysroot"]).current_dir(root))?;
        let version = answer(rustc().arg("-vV").current_dir(root))?;
        let version = String::from_utf8_lossy(&version);
        if let Some(commit) = version.lines().find_map(|line| line.strip_prefix("commit-hash: ")) {
            // What rustc calls the standard library's sources where they are not installed.
            let sources = Path::new(String::from_utf8_lossy(&sysroot).trim()).join("lib/rustlib/src/rust");
            folders.push((sources, format!("/rustc/{commit}")));
        }
        Ok(Self(folders))
    }

    /// As `CARGO_ENCODED_RUSTFLAGS` has them. Of two that fit, rustc takes the last.
    fn flags(&self) -> OsString {
        let mut flags = OsString::new();
        for (folder, name) in &self.0 {
            if !flags.is_empty() {
                flags.push("\u{1f}");
            }
            flags.push("--remap-path-prefix=");
            flags.push(folder);
            flags.push("=");
            flags.push(name);
        }
        flags
    }

    /// The first of the folders that is found in a program with something below it.
    fn told_by(&self, program: &[u8]) -> Option<&Path> {
        let is_told = |folder: &Path| {
            let path = [folder.as_os_str().as_bytes(), b"/"].concat();
            program.windows(path.len()).any(|window| window == path)
        };
        // A folder such as `/src` would be found in other paths too, and nothing is told by it.
        let long =
            self.0.iter().map(|(folder, _)| &**folder).filter(|folder| folder.components().count() > 2);
        long.into_iter().find(|folder| is_told(folder))
    }
}

fn answer(command: &mut Command) -> Result<Vec<u8>, ImageError> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stderr(Stdio::piped()).output();
    let output = output.map_err(|e| ImageError::Build(format!("{name} cannot be started: {e}")))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => {
            Err(ImageError::Build(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_wherever_it_stands_and_a_short_folder_is_none() {
        let folders = Folders(vec![("/src".into(), "/palisade".into()), ("/a/b c".into(), "/crates".into())]);
        assert_eq!(folders.told_by(b"xx/a/b c/y.rs"), Some(Path::new("/a/b c")));
        assert_eq!(folders.told_by(b"/a/b/y.rs /a/b c. /src/lib.rs"), None);
        assert_eq!(
            folders.flags(),
            "--remap-path-prefix=/src=/palisade\u{1f}--remap-path-prefix=/a/b c=/crates"
        );
    }
}
