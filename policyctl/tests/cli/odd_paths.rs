//! A folder whose name has what quotes, tags, lines and other scripts are made of: no output that is for programs breaks.

use crate::support::policyctl;
use std::fs;

const NAME: &str = "odd\"<b onclick=x>&;|é日\u{202e}\nx";

const MANIFESTS: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: shop, labels: {app: a}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: a, namespace: shop}
spec: {podSelector: {matchLabels: {app: nobody}}, ingress: [{from: [{podSelector: {}}], ports: [{port: nowhere}]}]}
";

#[test]
fn a_folder_of_any_name_breaks_no_output() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join(NAME);
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("all.yaml"), MANIFESTS).expect("a file");
    let run = |what: &str| policyctl(&format!("{what} -R -f '{}'", folder.display()));
    for what in ["matrix -o json", "lint -o json", "lint -o sarif", "exposure -o json"] {
        run(what).json();
    }
    for what in ["report -o html", "matrix -o svg", "lint -o junit"] {
        let ran = run(what);
        assert!(ran.out.len() > 200, "{}", ran.screen());
        for raw in ["<b onclick", "odd\"<", ">&;"] {
            assert!(!ran.out.contains(raw), "{raw} in\n{}", ran.screen());
        }
    }
    // Lines of these are records: none is torn by a name.
    for what in ["matrix -o csv", "matrix -o dot", "matrix -o mermaid"] {
        let ran = run(what);
        assert!(!ran.out.lines().any(|line| line.starts_with('x')), "{}", ran.screen());
    }
}
