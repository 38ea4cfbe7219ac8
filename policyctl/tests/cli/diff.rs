use crate::support::{policyctl, screens};

screens! {
    with_a_policy_changed: "diff -f tests/data/shop --with tests/data/shop-next";
    with_a_policy_changed_as_json: "diff -f tests/data/shop --with tests/data/shop-next -o json";
    with_a_policy_changed_as_yaml: "diff -f tests/data/shop --with tests/data/shop-next -o yaml";
    with_a_policy_changed_as_csv: "diff -f tests/data/shop --with tests/data/shop-next -o csv";
    with_a_policy_changed_as_markdown: "diff -f tests/data/shop --with tests/data/shop-next -o md";
    without_a_policy: "diff -f tests/data/shop --without shop/front";
}

#[test]
fn gains_end_with_one() {
    for (line, code) in [
        ("diff tests/data/shop tests/data/shop", 0),
        ("diff -f tests/data/shop --without shop/front", 1),
        ("diff -f tests/data/shop --with tests/data/shop-next", 1),
        ("diff -f tests/data/shop --without shop/fron", 2),
        ("diff -f tests/data/shop", 2),
        ("diff tests/data/shop", 2),
        ("diff tests/data/shop tests/data/nowhere", 2),
        ("diff -f tests/data/shop tests/data/shop tests/data/shop", 2),
        ("diff tests/data/broken tests/data/shop", 2),
    ] {
        let ran = policyctl(line);
        assert_eq!(ran.code(), code, "{}", ran.screen());
    }
}

#[test]
fn what_one_way_gains_the_other_way_loses() {
    let there = policyctl("diff tests/data/shop tests/data/templates -o json").json();
    let back = policyctl("diff tests/data/templates tests/data/shop -o json").json();
    assert_eq!(there["gained"], back["lost"]);
    assert_eq!(there["lost"], back["gained"]);
}
