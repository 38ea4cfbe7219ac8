//! What deploy/ has: the chart renders the files that are installed, an API server takes each of them, and what they
//! grant is what policyd needs.

mod api;
mod chart;
mod rights;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Whether there may be privileged containers at all. Every distribution's API server says so; by itself it refuses them.
const PRIVILEGED: &[&str] = &["--allow-privileged=true"];

/// The folder deploy/ of the repository.
fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").canonicalize().expect("deploy/")
}

/// Runs Helm in deploy/.
fn helm(arguments: &[&str]) -> Output {
    let program = conformance::cluster::helm().expect("helm");
    Command::new(program).args(arguments).current_dir(deploy()).output().expect("helm runs")
}

/// What the chart makes with these `--set-json` values.
fn render(values: &[&str]) -> Result<String, String> {
    let mut arguments = vec!["template", "palisade", "chart"];
    for value in values {
        arguments.extend(["--set-json", value]);
    }
    let output = helm(&arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
