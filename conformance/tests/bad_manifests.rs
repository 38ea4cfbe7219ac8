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
    /// With which status `policyd run --once` ends.
    exit: i32,
}

fn expected(folder: &Path) -> Result<Expected, Failed> {
    let text = fs::read_to_string(folder.join("expected.txt"))?;
    let mut expected = Expected { fragments: Vec::new(), still: Vec::new(), exit: 1 };
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("still", object)) => expected.still.push(object.to_owned()),
            Some(("exit", status)) => expected.exit = status.parse()?,
            _ => expected.fragments.push(line.to_owned()),
        }
    }
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

/// Runs in a network namespace of its own that ends with it. After `--once` what is good is in the kernel, and the exit
/// status says whether something was not applied.
fn policyd(folder: &Path) -> Result<(), Failed> {
    const RUN_AND_LIST: &str = r#""$0" run --once --node-name node-1 --manifests "$1" --state-dir "$2" --cni-dir "$2"
        status=$?
        nft list map inet palisade ingress4-o
        exit $status"#;
    let expected = expected(folder)?;
    let program = std::env::var_os("PALISADE_POLICYD").ok_or(
        "PALISADE_POLICYD does not name the policyd to test; `cargo test-all` builds it and sets that",
    )?;
    let state = TemporaryFolder::new(folder)?;
    let output = Command::new("unshare")
        .args(["--net", "--", "sh", "-c", RUN_AND_LIST])
        .arg(program)
        .arg(folder.join("manifests"))
        .arg(&state.0)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(expected.exit) {
        return Err(format!("ended with {}, not with {}:\n{said}", output.status, expected.exit).into());
    }
    contains_all(&unwrapped(&said), &expected.fragments)?;
    // Every good.yaml isolates shop/web for ingress.
    let listed = String::from_utf8_lossy(&output.stdout);
    if !expected.still.is_empty() && !listed.contains("\"shop/web\" : goto in-") {
        return Err(format!("shop/web is not isolated:\n{listed}\n{said}").into());
    }
    Ok(())
}

/// Removed when it goes out of scope.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new(about: &Path) -> io::Result<Self> {
        let name = about.file_name().unwrap_or_default().to_string_lossy();
        let path = std::env::temp_dir().join(format!("palisade-bad-{}-{name}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // Left behind in the folder for temporary files, it does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Reports are wrapped at the width of a terminal, with a border: words are compared without either.
fn unwrapped(report: &str) -> String {
    let lines =
        report.lines().map(|line| line.trim_matches(|c: char| c.is_whitespace() || "│·×╭╰─".contains(c)));
    lines.collect::<Vec<_>>().join(" ")
}
