//! `cargo dev fuzz`: the fuzz targets searched with coverage, each for a while, and what they found kept.
//!
//! `cargo test` runs each target on its corpus and on random input; here libFuzzer looks for input that reaches more code, under
//! AddressSanitizer, so that the C libraries of a program are watched too. What reaches something new is kept in the target's corpus,
//! in `__fuzz__` beside its source.

use crate::{
    setup::is_command,
    workspace::{Workspace, WorkspaceError, forget_package},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// Which targets, and how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only targets whose name contains this.
    filter: Option<String>,
    /// How long each is searched.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    seconds: u64,
}

/// A test that hands its input to `bolero::check!`.
struct Target {
    package: &'static str,
    test: &'static str,
    /// The folder with `__fuzz__` in it, from the workspace.
    folder: &'static str,
    /// A folder whose files are tried first; the other targets bring good input themselves.
    seeds: Option<&'static str>,
}

const TARGETS: &[Target] = &[
    Target {
        package: "policy-model",
        test: "manifests_never_panic",
        folder: "policy-model/tests",
        seeds: Some("testdata/scenarios"),
    },
    Target { package: "policyctl", test: "endpoints_never_panic", folder: "policyctl/tests", seeds: None },
    Target { package: "enforcer", test: "dumps_never_panic", folder: "enforcer/tests", seeds: None },
    Target { package: "enforcer", test: "results_never_panic", folder: "enforcer/tests", seeds: None },
    Target {
        package: "enforcer",
        test: "states_never_panic_and_a_changed_one_is_refused",
        folder: "enforcer/tests",
        seeds: None,
    },
    Target { package: "enforcer", test: "requests_never_panic", folder: "enforcer/tests", seeds: None },
    Target {
        package: "enforcer",
        test: "source::kube::follower::fuzz::lines_never_panic",
        folder: "enforcer/src/source/kube/follower",
        seeds: None,
    },
];

/// No longer input is tried, in bytes: what is decided by structure is decided within this.
const LONGEST: u64 = 4096;
/// So many inputs of a target are kept. Each reaches something that no shorter one does, so that the longest go deepest.
const KEPT: usize = 100;

/// Targets cannot be searched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FuzzError {
    #[error("{what} is missing: {help}")]
    Missing { what: &'static str, help: &'static str },
    #[error("no target's name contains {0:?}")]
    NoTarget(String),
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot start rustup: {0}")]
    Start(#[source] io::Error),
}

/// Searches them one after the other; `false` if one has found something.
pub(crate) fn run(options: &Options) -> Result<bool, FuzzError> {
    if !is_command("cargo-bolero") {
        let help = "`cargo install cargo-bolero --locked`";
        return Err(FuzzError::Missing { what: "cargo-bolero", help });
    }
    let workspace = Workspace::read()?;
    let named =
        |target: &&Target| options.filter.as_ref().is_none_or(|part| target.test.contains(part.as_str()));
    let targets: Vec<_> = TARGETS.iter().filter(named).collect();
    if targets.is_empty() {
        return Err(FuzzError::NoTarget(options.filter.clone().unwrap_or_default()));
    }
    let (mut held, mut failed) = (0, 0);
    for target in targets {
        let corpus = target.corpus(&workspace.workspace_root);
        println!("{}: {} s, from {}", target.test, options.seconds, Corpus::read(&corpus)?);
        let [time, longest] = [format!("{}s", options.seconds), LONGEST.to_string()];
        let seeds = target.seeds.map(|folder| workspace.workspace_root.join(folder).display().to_string());
        let mut search = vec!["-T", &time, "--max-input-length", &longest];
        search.extend(seeds.iter().flat_map(|folder| ["--engine-args", folder]));
        if target.bolero(&workspace, "test", &search)? && target.bolero(&workspace, "reduce", &[])? {
            held += 1;
            let mut corpus = Corpus::read(&corpus)?;
            corpus.thin()?;
            println!("ok    {}: kept {corpus}", target.test);
        } else {
            failed += 1;
            println!(
                "FAIL  {}: the lines before this say why; input that it failed on is beside {}",
                target.test,
                corpus.display()
            );
        }
    }
    println!("{held} passed, {failed} failed");
    Ok(failed == 0)
}

impl Target {
    /// Where bolero keeps what reaches something new.
    fn corpus(&self, root: &Path) -> PathBuf {
        root.join(self.folder).join("__fuzz__").join(self.test.replace("::", "__")).join("corpus")
    }

    /// Runs one of cargo-bolero's commands on it, with the nightly compiler that sanitizers take.
    fn bolero(&self, workspace: &Workspace, command: &str, more: &[&str]) -> Result<bool, FuzzError> {
        let mut bolero = Command::new("rustup");
        forget_package(&mut bolero);
        bolero
            .args(["run", "nightly", "cargo", "bolero", command, self.test, "--package", self.package])
            .args(more)
            .arg("--target-dir")
            .arg(workspace.target_directory.join("fuzz"))
            .current_dir(&workspace.workspace_root);
        Ok(bolero.status().map_err(FuzzError::Start)?.success())
    }
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> FuzzError {
    let path = path.to_owned();
    |source| FuzzError::File { path, source }
}

/// The inputs of a target, each with its length.
struct Corpus {
    inputs: Vec<(u64, PathBuf)>,
}

impl Corpus {
    fn read(folder: &Path) -> Result<Self, FuzzError> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self { inputs: Vec::new() }),
            Err(e) => return Err(file(folder)(e)),
        };
        let input = |entry: io::Result<fs::DirEntry>| entry.and_then(|e| Ok((e.metadata()?.len(), e.path())));
        let inputs = entries.map(input).collect::<io::Result<_>>().map_err(file(folder))?;
        Ok(Self { inputs })
    }

    /// Leaves the longest.
    fn thin(&mut self) -> Result<(), FuzzError> {
        self.inputs.sort_by(|a, b| b.cmp(a));
        for (_, path) in self.inputs.drain(KEPT.min(self.inputs.len())..) {
            fs::remove_file(&path).map_err(file(&path))?;
        }
        Ok(())
    }
}

/// `42 inputs of 1234 bytes together`
impl std::fmt::Display for Corpus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes: u64 = self.inputs.iter().map(|(length, _)| length).sum();
        write!(f, "{} inputs of {bytes} bytes together", self.inputs.len())
    }
}
