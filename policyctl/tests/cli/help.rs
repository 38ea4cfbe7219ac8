//! What `--help` shows can be pasted: every example that needs no cluster is run by a shell, beside files such as it speaks of.

use crate::support::policyctl;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const VERBS: [&str; 14] = [
    "explain",
    "can",
    "who",
    "matrix",
    "diff",
    "exposure",
    "lint",
    "test",
    "generate",
    "report",
    "status",
    "verify",
    "get",
    "completion",
];

#[test]
fn every_verb_has_examples_and_exit_codes() {
    let help = policyctl("--help").out;
    for verb in VERBS {
        assert!(help.contains(verb), "{verb} is not in\n{help}");
        let ran = policyctl(&format!("{verb} --help"));
        assert!(ran.code() == 0 && ran.out.contains("Examples:"), "{}", ran.screen());
    }
    assert!(help.contains("Exit codes:"), "{help}");
}

/// The examples of a verb, as lines to run.
fn examples(verb: &str) -> Vec<String> {
    let help = policyctl(&format!("{verb} --help")).out;
    let after = help.split("Examples:").nth(1).unwrap_or_default().to_owned();
    after.lines().map(str::trim).filter(|line| line.starts_with("policyctl ")).map(str::to_owned).collect()
}

/// What the examples speak of.
fn workplace() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a folder");
    let objects = "
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: shop, labels: {app: api}}
status: {podIP: 10.1.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {containers: [{name: db, ports: [{name: pg, containerPort: 5432}]}]}
status: {podIP: 10.1.0.2}
---
apiVersion: v1
kind: Pod
metadata: {name: front, namespace: shop, labels: {app: front}}
status: {podIP: 10.1.0.3}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front, namespace: shop}
spec: {template: {metadata: {labels: {app: front}}}}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {selector: {app: db}, ports: [{name: pg, port: 5432, targetPort: pg}], clusterIP: 10.96.0.9}
";
    let policy = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: shop}
spec: {podSelector: {}}
";
    let tests = "tests: [{name: nobody, to: 'shop/db:5432/TCP', deny: [internet]}]\n";
    let with_policy = format!("{objects}---{policy}");
    for (file, text) in [
        ("manifests/shop.yaml", with_policy.as_str()),
        ("before/shop.yaml", objects),
        ("after/shop.yaml", &with_policy),
        ("new-policy.yaml", policy),
        ("shop/shop.yaml", &with_policy),
        ("shop/tests.yaml", tests),
        ("policies.test.yaml", tests),
    ] {
        let path = place.path().join(file);
        fs::create_dir_all(path.parent().unwrap_or(place.path())).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    place
}

/// Runs a line as a shell does, with the program in the path. What other programs would do with its output is left out, and so
/// are files outside of the workplace.
fn paste(line: &str, place: &Path) -> (Option<i32>, String) {
    let line = line.split(" | dot").next().unwrap_or(line);
    let line = line.split(" > /").next().unwrap_or(line).split(" > ~").next().unwrap_or(line);
    let line = line.replace("/usr/local/share/man/man1", "man1");
    let program = PathBuf::from(env!("CARGO_BIN_EXE_policyctl"));
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap_or(&program).display());
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).current_dir(place).env_clear().env("PATH", path).env("HOME", place);
    let output = shell.output().expect("a shell");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn examples_work_when_they_are_pasted() {
    let place = workplace();
    let mut pasted = 0;
    for verb in VERBS {
        for line in examples(verb) {
            let needs_cluster = matches!(verb, "status" | "verify")
                || line.contains("--node ")
                || verb == "get" && !line.contains("-f")
                || line.contains("diff --with");
            let (code, said) = paste(&line, place.path());
            match (needs_cluster, code) {
                (true, Some(4)) | (false, Some(0 | 1 | 3)) => pasted += usize::from(!needs_cluster),
                _ => panic!("{line}\nexit {code:?}\n{said}"),
            }
            assert!(!said.contains("Usage:"), "{line}\n{said}");
        }
    }
    assert!(pasted > 25, "only {pasted} examples");
    assert!(place.path().join("man1/policyctl-explain.1").exists());
}
