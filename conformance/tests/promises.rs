//! Each test that docs/security.md names exists, so that no promise stands there alone.

use std::{fs, path::Path};

/// What stands in backquotes as `file.rs::test`.
fn named(text: &str) -> Vec<(&str, &str)> {
    text.split('`').skip(1).step_by(2).filter_map(|word| word.split_once(".rs::")).collect()
}

#[test]
fn every_promise_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("docs/security.md")).expect("docs/security.md");
    let named = named(&text);
    assert!(named.len() > 40, "only {} tests are named", named.len());
    let mut missing = Vec::new();
    for (file, name) in named {
        let source = fs::read_to_string(root.join(format!("{file}.rs"))).unwrap_or_default();
        // A function, or the name of an attack or a round.
        if !source.contains(&format!("fn {name}(")) && !source.contains(&format!("\"{name}\"")) {
            missing.push(format!("{file}.rs::{name}"));
        }
    }
    assert_eq!(missing, [""; 0]);
}

#[test]
fn rows_without_a_test_are_none() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("docs/security.md")).expect("docs/security.md");
    let tables = ["## States of a node", "## Attacks"];
    for table in tables {
        let part = text.split(table).nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap_or_default();
        let rows: Vec<_> = part.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
        assert!(rows.len() > 8, "{table} has {} rows", rows.len());
        for row in rows {
            assert!(row.contains(".rs::"), "no test holds: {row}");
        }
    }
}
