use crate::support::{policyctl, policyctl_at, screens};

screens! {
    as_a_table: "matrix -f tests/data/shop";
    as_a_grid: "matrix -f ../testdata/scenarios/three-tiers/manifests";
    as_json: "matrix -f tests/data/shop -o json";
    as_yaml: "matrix -f tests/data/templates -o yaml";
    as_csv: "matrix -f tests/data/shop -o csv";
    as_markdown: "matrix -f tests/data/shop -o md";
    as_dot: "matrix -f tests/data/templates -o dot";
    as_mermaid: "matrix -f tests/data/templates -o mermaid";
    as_svg: "matrix -f tests/data/templates -o svg";
    of_pods: "matrix --pods -f tests/data/shop -o csv";
    of_namespaces: "matrix --by namespace -f tests/data/shop";
    of_one_namespace: "matrix -n data -f tests/data/templates";
}

#[test]
fn columns_drop_from_the_right_where_the_terminal_is_narrow() {
    let narrow = policyctl_at(60, "matrix -f ../testdata/scenarios/three-tiers/manifests");
    insta::assert_snapshot!(narrow.screen());
    assert!(narrow.out.lines().all(|line| line.chars().count() <= 60), "{}", narrow.screen());
}

#[test]
fn a_row_a_line_and_every_line_is_json() {
    let ran = policyctl("matrix -f tests/data/shop -o json");
    let rows = ran.json()["rows"].as_array().expect("rows").len();
    assert_eq!(ran.out.lines().count(), rows + 2, "{}", ran.out);
}

#[test]
fn an_ended_pod_is_no_row_and_a_template_is_one() {
    let text = policyctl("matrix --pods -f tests/data/shop -o csv").out;
    assert!(!text.contains("migrate") && text.contains("shop/report[CronJob]"), "{text}");
}
