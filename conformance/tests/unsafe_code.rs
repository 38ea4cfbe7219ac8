//! Where the code is `unsafe`: in one room, as often as docs/security.md says, and each time with its argument.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn sources(folder: &Path, to: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("a folder of sources");
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            sources(&path, to);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            to.push(path);
        }
    }
}

/// Lines that have the word, without comments, strings that are whole words of their own, and attributes.
fn uses(text: &str) -> Vec<usize> {
    let is_one = |line: &str| {
        let code = line.trim_start();
        let block =
            code.contains("unsafe {") || ["unsafe fn", "unsafe impl"].iter().any(|w| code.contains(w));
        block && !code.starts_with("//") && !code.starts_with('#')
    };
    text.lines().enumerate().filter(|(_, line)| is_one(line)).map(|(at, _)| at).collect()
}

/// Whether the comment that stands above a line, or at the head of its statement, argues.
fn is_argued(text: &str, line: usize) -> bool {
    let lines: Vec<_> = text.lines().collect();
    let above = lines[line.saturating_sub(8)..=line].iter().rev();
    above.take_while(|line| !line.trim().is_empty()).any(|line| line.contains("// SAFETY:"))
}

#[test]
fn it_is_in_one_room_counted_and_argued() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut count = 0;
    for package in ["policy-model", "compiler", "enforcer", "policyctl", "conformance"] {
        let mut files = Vec::new();
        sources(&root.join(package).join("src"), &mut files);
        assert!(files.len() > 10, "{package} has {} sources", files.len());
        for file in files {
            let text = fs::read_to_string(&file).expect("a source");
            let at = uses(&text);
            let room = root.join("enforcer/src/nft");
            assert!(
                at.is_empty() || file.starts_with(&room),
                "{} is not in enforcer/src/nft",
                file.display()
            );
            for line in &at {
                assert!(is_argued(&text, *line), "{}:{} has no argument", file.display(), line + 1);
            }
            count += at.len();
        }
    }
    let text = fs::read_to_string(root.join("docs/security.md")).expect("docs/security.md");
    let said = format!("{count} blocks of `unsafe`");
    assert!(text.contains(&said), "docs/security.md does not say {said:?}");
}

#[test]
fn every_other_crate_forbids_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let crates = [
        "policy-model/src/lib.rs",
        "compiler/src/lib.rs",
        "policyctl/src/lib.rs",
        "conformance/src/lib.rs",
        "conformance/src/bin/dev/main.rs",
        "enforcer/src/main.rs",
    ];
    for file in crates {
        let text = fs::read_to_string(root.join(file)).expect("a crate's root");
        assert!(text.contains("#![forbid(unsafe_code)]"), "{file}");
    }
}
