//! `lint`, `test`, `generate` and `report`: screens and exit codes.

use crate::support::{policyctl, screens};
use std::fs;

screens! {
    lint_table: "lint -f tests/data/shop";
    lint_json: "lint -f tests/data/shop -o json";
    lint_junit: "lint -f tests/data/broken -o junit";
    lint_of_what_is_broken: "lint -f tests/data/broken";
    lint_explains_a_code: "lint --explain p014";
    lint_explains_by_name: "lint --explain split-peer";
    lint_has_no_such_code: "lint --explain P999";
    lint_lists: "lint --list";
    help_of_lint: "lint --help";
    tested_table: "test -f tests/data/shop tests/data/tests/shop.test.yaml";
    tested_junit: "test -f tests/data/shop tests/data/tests/shop.test.yaml -o junit";
    tested_tap: "test -f tests/data/shop tests/data/tests/shop.test.yaml -o tap";
    tested_by_slices: "test -f tests/data/slices tests/data/tests/slices.test.yaml";
    tested_junit_of_what_is_not_there: "test -f tests/data/shop tests/data/tests/wrong.yaml tests/data/tests/nowhere.yaml -o junit";
    tested_tap_of_what_is_not_there: "test -f tests/data/shop tests/data/tests/wrong.yaml tests/data/tests/nowhere.yaml -o tap";
    tested_of_what_is_not_there: "test -f tests/data/shop tests/data/tests/wrong.yaml tests/data/tests/nowhere.yaml";
    help_of_test: "test --help";
    generate_deny: "generate default-deny -n shop --direction ingress";
    generate_database: "generate database-isolation -n shop --database app=db --clients app=api --clients 'ops/[app=backup]' --port 5432 --port pg";
    generate_external: "generate external-control -n shop --allow 203.0.113.0/24 --port 443";
    generate_ingress: "generate ingress-controller-only -n shop --pods app=front --port http";
    generate_from_a_list: "generate --from-matrix tests/data/tests/wanted.json -f tests/data/shop/cluster.yaml";
    generate_from_a_list_of_strangers: "generate --from-matrix tests/data/tests/strangers.json -f tests/data/shop";
    generate_needs_to_know_what: "generate";
    generate_bad_port: "generate database-isolation --database app=db --clients app=api --port 99999";
    generate_bad_selector: "generate dns --pods 'app in'";
    report_dot: "report -f tests/data/shop -o dot";
    help_of_report: "report --help";
}

#[test]
fn exit_codes() {
    for (line, code) in [
        ("lint -f tests/data/templates --fail-on error", 0),
        ("lint -f tests/data/shop --fail-on error", 0),
        ("lint -f tests/data/broken", 2),
        ("lint --kubeconfig tests/data/nowhere", 2),
        ("matrix -f tests/data/shop -f tests/data/tests/good.yaml", 0),
        ("matrix -f tests/data/shop -f tests/data/tests/wrong.yaml", 2),
        ("lint -f tests/data/nowhere", 2),
        ("lint -f tests/data/shop -o md", 2),
        ("lint -f tests/data/shop -o sarif --fail-on error", 0),
        ("test -f tests/data/shop tests/data/tests/shop.test.yaml", 1),
        ("test tests/data/tests/empty", 2),
        ("test", 2),
        ("test -f tests/data/broken tests/data/tests/good.yaml", 2),
        ("test -f tests/data/shop tests/data/tests/good.yaml", 0),
        ("generate default-deny", 0),
        ("generate external-control --allow 10.0.0.1/8", 2),
        ("generate database-isolation --database app=db --clients shop/db --port 1", 0),
        ("generate database-isolation --database app=db --port 1", 2),
        ("generate --from-matrix tests/data/shop/cluster.yaml -f tests/data/shop", 2),
        ("generate --from-matrix tests/data/tests/wanted.json --kubeconfig tests/data/nowhere", 2),
        ("generate --from-matrix - -f -", 2),
        ("report -f tests/data/shop", 0),
        ("report -f tests/data/broken", 2),
        ("report --kubeconfig tests/data/nowhere", 2),
    ] {
        let ran = policyctl(line);
        assert_eq!(ran.code(), code, "{}", ran.screen());
    }
}

#[test]
fn a_matrix_comes_back_as_policies_with_the_same_matrix() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let before = policyctl("matrix -f tests/data/shop -o json");
    let [list, policies] = ["wanted.json", "policies.yaml"].map(|name| folder.join(name));
    fs::write(&list, &before.out).unwrap();
    let made = policyctl(&format!("generate --from-matrix {} -f tests/data/shop", list.display()));
    assert_eq!(made.code(), 0, "{}", made.screen());
    fs::write(&policies, &made.out).unwrap();
    let after =
        policyctl(&format!("matrix -f tests/data/shop/cluster.yaml -f {} -o json", policies.display()));
    let inside = |json: serde_json::Value| {
        let rows = json["rows"].as_array().cloned().unwrap_or_default();
        let is_inside = |row: &serde_json::Value| {
            ["source", "destination"]
                .iter()
                .all(|end| row[end].as_str().is_some_and(|name| name.contains('[')))
        };
        rows.into_iter().filter(is_inside).collect::<Vec<_>>()
    };
    assert_eq!(inside(after.json()), inside(before.json()));
}
