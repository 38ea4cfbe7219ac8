//! Every folder of `testdata/bad`, given to the manifest parser and to `policyd`: what is wrong is said with file, object,
//! field and value, and what is right is in force all the same.

use libtest_mimic::{Arguments, Failed, Trial};
use policy_model::manifest;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// Faults that no single text has: only whoever reads the whole folder can see them.
const OF_THE_FOLDER: [&str; 3] = ["duplicate-object", "duplicate-address", "not-utf8"];

fn main() -> io::Result<()> {
    let arguments = Arguments::from_args();
    let bad = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/bad");
    let entries = fs::read_dir(bad)?;
    let mut folders = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    folders.sort();
    let mut trials = Vec::new();
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !OF_THE_FOLDER.contains(&&*name) {
            let folder = folder.clone();
            trials.push(Trial::test(format!("parser::{name}"), move || parser(&folder)));
        }
        trials.push(Trial::test(format!("policyd::{name}"), move || policyd(&folder)));
    }
    libtest_mimic::run(&arguments, trials).exit()
}

/// What `expected.txt` asks for.
struct Expected {
    /// Each is somewhere in what is said.
    fragments: Vec<String>,
    /// Objects that are in force all the same, as `NetworkPolicy shop/good`.
    still: Vec<String>,
}

fn expected(folder: &Path) -> Result<Expected, Failed> {
    let text = fs::read_to_string(folder.join("expected.txt"))?;
    let (still, fragments): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with("still: "));
    let still = still.iter().filter_map(|line| line.strip_prefix("still: "));
    let expected = Expected {
        fragments: fragments.into_iter().map(str::to_owned).collect(),
        still: still.map(str::to_owned).collect(),
    };
    if expected.fragments.is_empty() { Err("expected.txt asks for nothing".into()) } else { Ok(expected) }
}

/// Fails unless every fragment is in what was said.
fn contains_all(said: &str, fragments: &[String]) -> Result<(), Failed> {
    match fragments.iter().find(|fragment| !said.contains(&**fragment)) {
        Some(missing) => Err(format!("`{missing}` is not in what was said:\n{said}").into()),
        None => Ok(()),
    }
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder.join("manifests"))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

fn parser(folder: &Path) -> Result<(), Failed> {
    let expected = expected(folder)?;
    let (mut said, mut objects) = (String::new(), Vec::new());
    for file in files(folder)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let parsed = manifest::parse(&name, &fs::read_to_string(&file)?);
        for problem in parsed.problems {
            said.push_str(&format!("{problem}\n{}\n", problem.help.as_deref().unwrap_or_default()));
        }
        objects.extend(parsed.objects.iter().map(|object| object.value.to_string()));
    }
    contains_all(&said, &expected.fragments)?;
    match expected.still.iter().find(|object| !objects.contains(object)) {
        Some(missing) => Err(format!("{missing} is not among what was read: {}", objects.join(", ")).into()),
        None => Ok(()),
    }
}

/// `--dry-run` touches nothing, so it needs no rights; `--once` ends with 1 if something was not applied.
fn policyd(folder: &Path) -> Result<(), Failed> {
    let expected = expected(folder)?;
    let program = std::env::var_os("PALISADE_POLICYD").ok_or(
        "PALISADE_POLICYD does not name the policyd to test; `cargo test-all` builds it and sets that",
    )?;
    let output = Command::new(program)
        .args(["run", "--once", "--dry-run", "--node-name", "node-1", "--manifests"])
        .arg(folder.join("manifests"))
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(1) {
        return Err(format!("ended with {}, not with 1:\n{said}", output.status).into());
    }
    contains_all(&unwrapped(&said), &expected.fragments)
}

/// Reports are wrapped at the width of a terminal, with a border: words are compared without either.
fn unwrapped(report: &str) -> String {
    let lines =
        report.lines().map(|line| line.trim_matches(|c: char| c.is_whitespace() || "│·×╭╰─".contains(c)));
    lines.collect::<Vec<_>>().join(" ")
}
