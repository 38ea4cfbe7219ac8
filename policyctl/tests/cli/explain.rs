use crate::support::{policyctl, screens};

screens! {
    a_denial_comes_with_its_reason_and_remedy: "explain -f tests/data/shop shop/front-7d9c-a shop/db-0:5432";
    a_port_may_be_named: "explain -f tests/data/shop shop/api shop/db-0:pg";
    how_to_stop_what_is_allowed: "explain -f tests/data/shop --deny shop/api shop/db-0:pg";
    how_to_stop_what_nothing_isolates: "explain -f tests/data/shop --deny shop/db-0 shop/api:80 -n shop";
    how_to_stop_one_of_two_that_are_alike: "explain -f tests/data/alike --deny shop/one shop/db:5432";
    how_to_stop_a_pod_without_labels: "explain -f tests/data/alike --deny shop/db shop/bare:80";
    how_to_stop_a_whole_namespace: "explain -f tests/data/alike --deny 'other/*' shop/db:5432";
    how_to_stop_a_block: "explain -f tests/data/alike --deny 192.0.2.0/24 shop/db:5432";
    how_to_stop_the_internet: "explain -f tests/data/alike --deny internet shop/db:5432";
    what_no_policy_can_stop: "explain -f tests/data/alike --deny shop/one shop/one:80";
    without_a_port_every_port_is_answered: "explain -f tests/data/shop shop/deploy/front shop/api";
    a_service_is_followed_to_its_pods: "explain -f tests/data/shop shop/api shop/svc/db:5000";
    the_address_of_a_service_is_the_service: "explain -f tests/data/shop shop/api 10.96.0.5:5000";
    an_external_name_is_unknown: "explain -f tests/data/shop shop/api shop/svc/mail";
    a_headless_service_is_its_pods: "explain -f tests/data/slices shop/client shop/svc/store:80";
    a_headless_service_by_its_ports_name: "explain -f tests/data/slices shop/client shop/svc/store:pg";
    clients_outside_come_through_a_node: "explain -f tests/data/shop 198.51.100.7 shop/svc/front:80";
    a_block_that_is_told_apart_is_mixed: "explain -f tests/data/shop 203.0.0.0/16 shop/front-7d9c-a:8080";
    a_pod_on_its_nodes_network_is_its_node: "explain -f tests/data/shop monitoring/exporter shop/db-0:9187";
    a_pod_may_reach_itself: "explain -f tests/data/shop shop/db-0 shop/db-0:1";
    a_template_has_no_address_for_a_block: "explain -f tests/data/templates data/db-0 default/deploy/web:http";
    what_a_block_says_about_a_template_is_unknown: "explain -f tests/data/templates kube-system/static-node-1 default/deploy/web:http";
    a_selector_stands_for_several_pods: "explain -f tests/data/shop 'shop/[app in (api,front)]' shop/db-0:5432";
    icmp_has_no_port: "explain -f tests/data/shop shop/api shop/front-7d9c-a/ICMP";
    quiet_is_one_word: "explain -q -f tests/data/shop shop/front-7d9c-a shop/db-0:5432";
    as_json: "explain -f tests/data/shop shop/front-7d9c-a shop/db-0:5432 -o json";
    as_yaml: "explain -f tests/data/shop shop/deploy/front shop/api -o yaml";
}

#[test]
fn json_has_what_programs_check() {
    let allowed = policyctl("explain -f tests/data/shop shop/api shop/db-0:5432 -o json").json();
    assert_eq!(allowed["kind"], "Explanation");
    assert_eq!((&allowed["protocol"], &allowed["port"]), (&"TCP".into(), &5432.into()));
    assert_eq!(allowed["verdict"], "Allowed");
    assert_eq!(
        (&allowed["egress"]["isolated"], &allowed["ingress"]["isolated"]),
        (&false.into(), &true.into())
    );
    let by = &allowed["ingress"]["allowedBy"][0];
    assert_eq!(by["policy"], "shop/db");
    assert_eq!(
        (&by["rule"], &by["peer"], &by["port"]),
        (&"ingress[0]".into(), &"from[0]".into(), &"ports[0]".into())
    );
    assert!(allowed["fix"].is_null());
}

#[test]
fn exit_codes_say_the_answer() {
    for (line, code) in [
        ("explain -f tests/data/shop shop/api shop/front-7d9c-a:8080", 1),
        ("explain -f tests/data/shop shop/front-7d9c-a shop/api:8050", 0),
        ("explain -f tests/data/shop shop/front-7d9c-a shop/api", 3),
        ("explain -f tests/data/shop shop/api shop/svc/mail", 3),
        ("explain -f tests/data/shop shop/nobody shop/api", 2),
        ("explain -f tests/data/shop shop/api shop/front-7d9c-a:99999", 2),
        ("explain -f tests/data/shop shop/api shop/front-7d9c-a:80/QUIC", 2),
        ("explain -f tests/data/shop '' shop/api", 2),
        ("explain -f tests/data/nowhere shop/api shop/api", 2),
        ("explain shop/api shop/api --kubeconfig tests/data/nowhere", 2),
        ("explain -f tests/data/shop shop/api", 2),
        ("explain -f tests/data/broken shop/a shop/b:80", 2),
    ] {
        let ran = policyctl(line);
        assert_eq!(ran.code(), code, "{}", ran.screen());
    }
}

#[test]
fn a_misspelt_end_is_answered_with_what_was_meant() {
    for (line, meant) in [
        ("explain -f tests/data/shop shop/apj shop/db-0:80", "did you mean shop/api?"),
        ("explain -f tests/data/shop shop/report shop/db-0:80", "did you mean shop/cronjob/report?"),
        ("explain -f tests/data/shop shop/api shop/svc/fron", "did you mean shop/svc/front?"),
        ("explain -f tests/data/shop default/api shop/db-0", "did you mean shop/api?"),
        ("explain -f tests/data/shop node/node-2 shop/db-0", "did you mean node/node-1?"),
    ] {
        let ran = policyctl(line);
        assert!(ran.code() == 2 && ran.err.contains(meant), "{}", ran.screen());
    }
}

#[test]
fn the_namespace_may_be_left_out() {
    let written = policyctl("explain -f tests/data/shop shop/api shop/db-0:5432 -o json").json();
    let short = policyctl("explain -n shop -f tests/data/shop api db-0:5432 -o json").json();
    assert_eq!(short, written);
    let kinds = policyctl("can -n shop -f tests/data/shop deploy/front '[app=api]:8000'");
    assert_eq!((kinds.out.as_str(), kinds.code()), ("Allowed\n", 0));
}

#[test]
fn what_cannot_be_read_is_said_with_what_to_write() {
    for (end, part) in [
        ("shop/db-0:99999", "a number from 1 to 65535"),
        ("shop/db-0:80/QUIC", "`QUIC` is no protocol"),
        ("shop/DB", "lower-case letters"),
        ("10.0.0.1/8", "write 10.0.0.0/8"),
        ("300.1.1.1", "has no namespace"),
        ("shop/svc/db:1", "it has 5000/TCP"),
        ("shop/migrate", "has ended"),
    ] {
        let ran = policyctl(&format!("can -f tests/data/shop shop/api {end}"));
        assert!(ran.code() == 2 && ran.err.contains(part), "{}", ran.screen());
    }
    assert_eq!(policyctl("can -f tests/data/shop shop/api shop/db-0:5432/tcp").out, "Allowed\n");
}

#[test]
fn a_service_without_a_selector_is_followed_by_its_slices() {
    let line = |ends| policyctl(&format!("explain -f tests/data/slices {ends} -o json")).json();
    let inside = line("shop/client shop/svc/legacy:80");
    assert_eq!(inside["destination"]["standsFor"], serde_json::json!(["192.0.2.10", "192.0.2.11"]));
    assert_eq!((&inside["port"], &inside["verdict"]), (&8080.into(), &"Mixed".into()));
    let nobody = line("shop/client shop/svc/unknown:80");
    assert_eq!(nobody["verdict"], "Unknown");
    let wrong = policyctl("explain -f tests/data/slices shop/client shop/svc/legacy:81");
    assert!(wrong.code() == 2 && wrong.err.contains("it has 80/TCP"), "{}", wrong.screen());
}

#[test]
fn a_namespace_that_is_being_deleted_is_noted() {
    let ran = policyctl("explain -f tests/data/terminating going/a going/b:80");
    assert!(ran.code() == 1 && ran.out.contains("namespace going is being deleted"), "{}", ran.screen());
}
