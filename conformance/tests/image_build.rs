//! A program is built to the same bytes in any folder, whatever folder its crates lie in, and tells no path of this machine. Shown
//! with a small program that has what `policyd` has: a crate of a registry, one of the workspace, and code that a build script wrote.

use conformance::image::{ImageError, build};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const LIBRARY: &str = "pub fn third(list: &[u8]) -> u8 { if list.len() < 3 { panic!(\"short\") } list[2] }";
/// The code that it writes panics in a file of the target folder.
const BUILD_SCRIPT: &str = r##"
fn main() {
    let path = format!("{}/made.rs", std::env::var("OUT_DIR").unwrap());
    std::fs::write(path, "pub fn made(n: usize) { if n > 9 { panic!(\"many\") } }").unwrap();
}"##;
const PROGRAM: &str = r##"
mod made { include!(concat!(env!("OUT_DIR"), "/made.rs")); }
fn main() {
    let words: Vec<u8> = std::env::args().map(|word| word.len() as u8).collect();
    made::made(words.len());
    println!("{} {}", inner::third(&words), outer::third(&words));
}"##;

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

fn manifest(name: &str, more: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2024\"\n{more}")
}

/// A workspace in a folder of this name, and the registry's crates in another. `more` is part of the program.
fn workspace(folder: &Path, name: &str, more: &str) -> PathBuf {
    let (root, registry) = (folder.join(name), folder.join(format!("crates of {name}")));
    write(&registry.join("outer/Cargo.toml"), &manifest("outer", ""));
    write(&registry.join("outer/src/lib.rs"), LIBRARY);
    write(&registry.join("outer/.cargo-checksum.json"), r#"{"files": {}, "package": null}"#);
    write(
        &root.join(".cargo/config.toml"),
        &format!("[source.crates-io]\nreplace-with = \"here\"\n[source.here]\ndirectory = {registry:?}\n"),
    );
    write(&root.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = [\"inner\", \"program\"]\n");
    write(&root.join("inner/Cargo.toml"), &manifest("inner", ""));
    write(&root.join("inner/src/lib.rs"), LIBRARY);
    let needs = "[dependencies]\nouter = \"1\"\ninner = { path = \"../inner\" }\n";
    write(&root.join("program/Cargo.toml"), &manifest("program", needs));
    write(&root.join("program/build.rs"), BUILD_SCRIPT);
    write(&root.join("program/src/main.rs"), &format!("{PROGRAM}\n{more}"));
    let lock = cargo().args(["generate-lockfile", "--offline"]).current_dir(&root).output().expect("cargo");
    assert!(lock.status.success(), "{lock:?}");
    root
}

fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Somebody's own flags, which do not count here.
    command.env("RUSTFLAGS", "-Cdebuginfo=2").env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

fn built(root: &Path) -> Result<Vec<u8>, ImageError> {
    let program = build(cargo, root, "program", "program", &root.join("target/image"))?;
    Ok(fs::read(program).expect("a program"))
}

#[test]
fn two_folders_give_the_same_bytes() {
    let temporary = tempfile::tempdir().expect("a folder");
    let one = built(&workspace(temporary.path(), "one", "")).expect("it builds");
    let other = built(&workspace(temporary.path(), "another/folder", "")).expect("it builds");
    assert!(one == other, "{} and {} bytes, not the same", one.len(), other.len());
    let holds = |text: &str| one.windows(text.len()).any(|window| window == text.as_bytes());
    for told in ["/crates/outer/src/lib.rs", "inner/src/lib.rs", "/target/release/build/"] {
        assert!(holds(told), "{told} is what a panic says");
    }
    assert!(!holds(&temporary.path().to_string_lossy()));
}

#[test]
fn a_program_that_tells_a_path_is_refused() {
    let temporary = tempfile::tempdir().expect("a folder");
    // A path that no flag of rustc changes: cargo puts it into the environment.
    let told = "#[used] static PATH: &str = concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/data\");";
    let refused = built(&workspace(temporary.path(), "w", told)).expect_err("it tells").to_string();
    assert!(refused.contains(&*temporary.path().join("w").to_string_lossy()), "{refused}");
    write(&temporary.path().join("w/inner/src/lib.rs"), "fn broken(");
    let refused = built(&temporary.path().join("w")).expect_err("no program").to_string();
    assert!(refused.contains("cargo could not build program"), "{refused}");
}
