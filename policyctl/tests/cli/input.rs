use crate::support::{policyctl, screens};

screens! {
    broken_documents_do_not_hide_the_others: "matrix -f tests/data/broken -o csv";
    folders_within_are_read_with_r: "matrix -q -R -f tests/data/broken -o csv";
    verbose_says_what_was_read: "can -v -f tests/data/shop shop/api shop/db-0:5432";
    a_path_that_is_not_there: "matrix -f tests/data/nowhere";
    a_kubeconfig_that_is_not_there: "matrix --kubeconfig tests/data/nowhere/config";
}

#[test]
fn objects_without_a_namespace_go_where_n_says() {
    let rows = |line| policyctl(line).json()["rows"].to_string();
    assert!(rows("matrix -f tests/data/templates -o json").contains("default/web[Deployment]"));
    let moved = rows("matrix -n team -f tests/data/templates -o json");
    assert!(moved.contains("team/web[Deployment]") && !moved.contains("default/"), "{moved}");
}

#[test]
fn a_folder_without_policies_is_said_and_is_no_error() {
    let ran = policyctl("matrix -f tests/data/broken/deeper -o json");
    assert_eq!(ran.code(), 0, "{}", ran.screen());
    assert!(ran.err.contains("no NetworkPolicy"), "{}", ran.err);
    let quiet = policyctl("matrix -q -f tests/data/broken/deeper -o json");
    assert_eq!(quiet.err, "");
}

#[test]
fn of_two_objects_of_one_name_the_later_counts_and_it_is_said() {
    let ran = policyctl("can -f tests/data/shop -f tests/data/shop-next shop/cronjob/report shop/db-0:5432");
    assert_eq!(ran.out, "Allowed\n", "{}", ran.screen());
    assert!(ran.err.contains("NetworkPolicy shop/db is at"), "{}", ran.err);
}
