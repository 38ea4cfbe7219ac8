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

#[test]
fn a_file_beyond_the_limit_is_refused_and_the_rest_is_read() {
    let folder = std::env::temp_dir().join(format!("policyctl-large-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let large = std::fs::File::create(folder.join("large.yaml")).expect("a file");
    large.set_len(100 << 20).expect("a hundred megabytes of nothing");
    std::fs::copy("tests/data/broken/b-good.yaml", folder.join("good.yaml")).expect("a copy");
    let ran = policyctl(&format!("matrix -f {} -o json", folder.display()));
    std::fs::remove_dir_all(&folder).expect("the folder goes");
    assert_eq!(ran.code(), 2, "{}", ran.screen());
    assert!(ran.err.contains("larger than 64 MiB") && ran.out.contains("shop/a[Pod]"), "{}", ran.screen());
}

#[test]
fn aliases_that_would_fill_the_memory_are_refused() {
    let folder = std::env::temp_dir().join(format!("policyctl-bomb-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}, ", level - 1).repeat(9);
        text += &format!("a{level}: &a{level} [{before}]\n");
    }
    std::fs::write(folder.join("bomb.yaml"), text).expect("a file");
    let ran = policyctl(&format!("matrix -f {} -o json", folder.display()));
    std::fs::remove_dir_all(&folder).expect("the folder goes");
    assert_eq!(ran.code(), 2, "{}", ran.screen());
    assert!(ran.err.contains("alias"), "{}", ran.err);
}
