//! Fuzz target of the manifest loader: whatever the text, it ends with objects and problems, never with a panic, and what
//! it takes is admissible. `cargo test` runs it on every manifest of `testdata`, on its own corpus and on random input;
//! `cargo dev fuzz manifests` searches with coverage.

use policy_model::{
    cluster::Cluster,
    manifest::{self, Object},
    policy::{Direction, PortMatch},
};
use std::{fs, path::Path};

fn load(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let parsed = manifest::parse("fuzz.yaml", &text);
    let mut cluster = Cluster::new();
    for object in parsed.objects {
        if let Object::Policy(policy) = &object.value {
            let rules = Direction::BOTH.into_iter().filter_map(|direction| policy.rules(direction)).flatten();
            for port in rules.flat_map(|rule| &rule.ports) {
                if let PortMatch::Range(lo, hi) = port.port {
                    assert!(1 <= lo && lo <= hi, "an admitted range is a range");
                }
            }
        }
        cluster.extend(object.value.into_change());
    }
    for problem in parsed.problems {
        assert!(!problem.to_string().is_empty());
    }
}

fn load_folder(folder: &Path) -> usize {
    let mut files = 0;
    for entry in fs::read_dir(folder).expect("testdata is there") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            files += load_folder(&path);
        } else {
            load(&fs::read(&path).expect("a readable file"));
            files += 1;
        }
    }
    files
}

#[test]
fn manifests_of_testdata_are_read() {
    assert!(load_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata")) > 100);
}

#[test]
fn manifests_never_panic() {
    bolero::check!().for_each(load);
}
