//! The bill of materials says what is in a program: all that is linked with its digest, nothing that only tests use, and the same
//! each time.

use conformance::sbom;
use serde_json::Value;
use std::{collections::BTreeSet, env, path::Path, process::Command};

fn bill(package: &str) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = || Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let program = env::current_exe().expect("this program");
    sbom::of(cargo, &root, package, &program).expect("a bill of materials")
}

fn components(bill: &Value) -> Vec<&Value> {
    bill["components"].as_array().expect("components").iter().collect()
}

#[test]
fn what_is_linked_is_in_it_with_its_digest_and_what_tests_use_is_not() {
    let bill = bill("enforcer");
    let components = components(&bill);
    let named = |name: &str| components.iter().find(|component| component["name"] == name).copied();
    for name in ["kube-client", "nftnl", "rustls", "serde_json"] {
        let component = named(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(component["hashes"][0]["content"].as_str().map(str::len), Some(64), "{name}");
        assert_eq!(component["scope"], "required", "{name}");
        assert!(component["licenses"][0]["expression"].is_string(), "{name}");
    }
    assert_eq!(named("compiler").map(|c| &c["licenses"][0]["expression"]), Some(&"Apache-2.0".into()));
    assert_eq!(
        named("cc").map(|c| &c["scope"]),
        Some(&"excluded".into()),
        "it only runs while others are built"
    );
    for name in ["proptest", "bolero", "openmetrics-parser", "conformance"] {
        assert!(named(name).is_none(), "{name} is for tests");
    }
    assert!(components.iter().any(|c| c["bom-ref"].as_str().is_some_and(|r| r.starts_with("file:libc."))));
    assert_eq!(bill["metadata"]["component"]["licenses"][0]["expression"], "GPL-2.0-or-later");
}

#[test]
fn each_reference_leads_somewhere_and_no_path_of_this_machine_is_told() {
    let bill = bill("policyctl");
    let mut known: BTreeSet<_> = components(&bill).iter().map(|c| c["bom-ref"].to_string()).collect();
    known.insert(bill["metadata"]["component"]["bom-ref"].to_string());
    let links = bill["dependencies"].as_array().expect("dependencies");
    assert!(links.len() > 50, "{} links", links.len());
    for link in links {
        let to = link["dependsOn"].as_array().expect("a list");
        for reference in to.iter().chain([&link["ref"]]) {
            assert!(known.contains(&reference.to_string()), "{reference} leads nowhere");
        }
    }
    let text = bill.to_string();
    assert!(
        !text.contains(env!("CARGO_MANIFEST_DIR")) && !text.contains(".cargo/registry"),
        "a path is told"
    );
    assert!(!components(&bill).iter().any(|c| c["name"] == "nftnl"), "policyctl links no GPL library");
}

#[test]
fn the_same_sources_give_the_same_bytes() {
    assert_eq!(bill("enforcer").to_string(), bill("enforcer").to_string());
}
