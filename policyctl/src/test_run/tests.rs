use super::*;
use crate::{input, style::Style};
use std::fs;

const MANIFESTS: &str = concat!(
    include_str!("../../tests/data/three-pods.yaml"),
    "---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from:
    - podSelector: {matchLabels: {app: api}}
    ports:
    - {port: 5432}
"
);

const TESTS: &str = "
tests:
- name: only the api <&> reaches the database
  to: shop/db:5432/TCP
  allow: [shop/api, shop/front]
  deny: ['shop/*', internet]
- name: 'the front is closed # to everybody'
  to: shop/front:80-90
  deny: [shop/api]
";

fn reports() -> (Snapshot, FileReport) {
    let snapshot = input::parse("policies/shop.yaml", MANIFESTS, None);
    assert!(snapshot.faults.is_empty(), "{:?}", snapshot.faults);
    let report = run(&snapshot, "shop.test.yaml", TESTS).unwrap_or_else(|errors| panic!("{errors:?}"));
    (snapshot, report)
}

#[test]
fn every_output_form() {
    let (snapshot, report) = reports();
    let reports = [(&snapshot, &report)];
    let faults = vec!["3:1: <no> tests".to_owned(), "4:1: more".to_owned()];
    let refused = [Refused { file: "broken #1.yaml".to_owned(), faults }];
    insta::assert_snapshot!("table", table(&reports, Style::plain()));
    insta::assert_snapshot!("junit", junit(&reports, &refused));
    insta::assert_snapshot!("tap", tap(&reports, &refused));
    insta::assert_snapshot!("json", format!("{:#}", json(&reports, &refused)));
}

#[test]
fn what_fails_is_explained_with_a_remedy() {
    let (_, report) = reports();
    let failed: Vec<_> = report.outcomes.iter().filter(|outcome| !outcome.holds()).collect();
    assert_eq!(failed.len(), 3);
    assert_eq!(counts(std::slice::from_ref(&report)), (2, 3));
    let denied = failed[0].failures[0].explanation.as_ref().unwrap();
    assert_eq!((failed[0].answer(), denied.verdict.word()), (Expect::Denied, "Denied"));
    assert!(denied.fix.is_some());
    // `shop/*` with one that may: only that flow fails.
    assert_eq!((failed[1].failures.len(), failed[1].flows, failed[1].answer()), (1, 2, Expect::Allowed));
}

#[test]
fn a_file_about_what_is_not_there_is_refused() {
    let snapshot = input::parse("x.yaml", MANIFESTS, None);
    let errors = run(&snapshot, "t.yaml", "tests: [{name: x, to: shop/nope, deny: [shop/api]}]").unwrap_err();
    assert!(errors[0].to_string().contains("there is no pod shop/nope"), "{errors:?}");
}

#[test]
fn test_files_and_their_manifests_are_found() {
    let root = std::env::temp_dir().join(format!("policyctl-test-files-{}", std::process::id()));
    let write = |path: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    };
    let files = [
        "a/tests.yaml",
        "a/manifests/x.yaml",
        "b/x.test.yml",
        "b/policy.yaml",
        "b/notes.txt",
        "c/policy.yaml",
    ];
    files.iter().for_each(|path| write(path));
    let names = |paths: Vec<std::path::PathBuf>| -> Vec<String> {
        paths.iter().map(|path| path.strip_prefix(&root).unwrap().display().to_string()).collect()
    };
    assert_eq!(names(test_files(&root, true).unwrap()), ["a/tests.yaml", "b/x.test.yml"]);
    assert!(matches!(test_files(&root, false), Err(FilesError::NoTests(_))));
    assert!(matches!(test_files(&root.join("nope"), false), Err(FilesError::Unreadable { .. })));
    let sources = |file: &str| {
        let found = manifests_of(&root.join(file)).unwrap();
        let paths = found.into_iter().filter_map(|source| match source {
            crate::input::Source::Path(path) => Some(path),
            crate::input::Source::Stdin => None,
        });
        names(paths.collect())
    };
    assert_eq!(sources("a/tests.yaml"), ["a/manifests"]);
    assert_eq!(sources("b/x.test.yml"), ["b/policy.yaml"]);
    fs::remove_dir_all(&root).unwrap();
}
