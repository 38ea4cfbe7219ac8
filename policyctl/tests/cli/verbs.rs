use crate::support::{policyctl, screens};

screens! {
    who_can_reach: "who -f tests/data/shop can reach shop/db-0:5432";
    who_can_reach_a_service: "who -f tests/data/shop can reach shop/svc/front";
    who_can_reach_a_service_without_a_selector: "who -f tests/data/slices can reach shop/svc/legacy";
    who_can_reach_a_headless_service: "who -f tests/data/slices can reach shop/svc/store";
    who_can_reach_as_json: "who -f tests/data/shop can reach shop/svc/front -o json";
    whom_does_it_reach: "who -f tests/data/shop does shop/deploy/front reach";
    whom_does_it_reach_as_yaml: "who -f tests/data/shop does shop/cronjob/report reach -o yaml";
    exposure: "exposure -f tests/data/shop";
    exposure_as_json: "exposure -f tests/data/templates -o json";
    exposure_as_yaml: "exposure -n default -f tests/data/templates -o yaml";
    help_of_explain: "explain --help";
    help_of_who: "who --help";
}

#[test]
fn can_is_one_word_and_an_exit_code() {
    for (ends, word, code) in [
        ("shop/api shop/db-0:5432", "Allowed", 0),
        ("shop/cronjob/report shop/db-0:5432", "Denied", 1),
        ("'shop/*' shop/db-0:5432", "Mixed", 3),
        ("shop/api shop/svc/mail", "Unknown", 3),
    ] {
        let ran = policyctl(&format!("can -f tests/data/shop {ends}"));
        assert_eq!((ran.out.trim_end(), ran.code()), (word, code), "{}", ran.screen());
    }
}

#[test]
fn who_and_exposure_end_well_whatever_they_find() {
    for (line, code) in [
        ("who -f tests/data/shop can reach shop/db-0:1", 0),
        ("who -f tests/data/shop does shop/nobody reach", 2),
        ("who -f tests/data/shop may reach shop/db-0", 2),
        ("who -f tests/data/shop can reach shop/svc/db:1", 2),
        ("exposure -f tests/data/shop", 0),
        ("exposure -f tests/data/broken", 2),
        ("matrix -f tests/data/shop", 0),
        ("matrix -f tests/data/broken -o json", 2),
        ("matrix -f tests/data/shop -o xml", 2),
        ("completion bash", 0),
        ("completion tcsh", 2),
        ("--version", 0),
        ("", 2),
    ] {
        let ran = policyctl(line);
        assert_eq!(ran.code(), code, "{}", ran.screen());
    }
}

#[test]
fn completions_and_man_pages_know_the_verbs() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh", "man"] {
        let text = policyctl(&format!("completion {shell}")).out;
        for verb in ["explain", "matrix", "who", "can", "diff", "exposure"] {
            assert!(text.contains(verb), "{shell} lacks {verb}");
        }
    }
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let ran = policyctl(&format!("completion man --to {}", folder.display()));
    assert_eq!(ran.code(), 0, "{}", ran.screen());
    let page = std::fs::read_to_string(folder.join("policyctl-explain.1")).expect("a page of explain");
    assert!(page.contains("EXTRA") || page.contains("Examples"), "{page}");
}
