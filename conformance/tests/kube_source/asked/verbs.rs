//! Every verb on a cluster says what it says on a folder of the same objects.

use super::{Ran, asked, policyctl, shop};
use crate::{
    burst,
    ground::{Ground, policy},
};
use serde_json::{Value, json};
use std::fs;

/// Without the places, which only files have.
fn without_places(mut value: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("place");
                fields.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut value);
    value
}

#[test]
fn verbs_say_the_same_of_a_cluster_and_of_a_folder_of_its_objects() {
    let ground = Ground::new("ctl verbs");
    shop(&ground);
    ground.apply(
        &json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db", "namespace": "shop"},
        "spec": {"selector": {"app": "db"}, "ports": [{"port": 5432, "targetPort": "main"}]}}),
    );
    let kinds = "namespaces,nodes,services,endpointslices,networkpolicies,pods";
    let state = ground.run(&format!("get {kinds} --all-namespaces --output json"));
    let file = ground.dir().join("state.json");
    fs::write(&file, state).expect("a file");
    let file = file.display().to_string();
    let both = |line: &str| -> [Ran; 2] {
        let words: Vec<&str> = line.split(' ').chain(["-f", &file]).collect();
        [asked(&ground, &ground.admin, line), policyctl(&ground, &words)]
    };

    for line in [
        "matrix -o json",
        "matrix --pods -o json",
        "exposure -o json",
        "who can reach shop/db:5432 -o json",
        "who does shop/front reach -o json",
        "lint -o json",
        "explain shop/api shop/db:5432 -o json",
        "explain shop/front shop/svc/db:5432 -o json",
        "explain 203.0.113.9 shop/db:5432 -o json",
        "diff --without shop/db -o json",
    ] {
        let [live, files] = both(line);
        assert_eq!(live.code, files.code, "{line}\n{}\n{}", live.err, files.err);
        assert_eq!(without_places(live.json()), without_places(files.json()), "{line}");
    }
    assert_eq!(asked(&ground, &ground.admin, "can shop/api shop/db:5432").code, 0);
    let denied = asked(&ground, &ground.admin, "explain shop/front shop/db:5432");
    assert_eq!(denied.code, 1);
    assert!(denied.out.contains("app=api") && denied.out.contains("Smallest change"), "{}", denied.out);

    // Objects of files over those of the cluster.
    let next = ground.dir().join("next.json");
    fs::write(&next, policy("db", "front").to_string()).expect("a file");
    let diff = asked(&ground, &ground.admin, &format!("diff --with {}", next.display()));
    assert_eq!(diff.code, 1, "front gains: {}\n{}", diff.out, diff.err);
    assert!(diff.out.contains("shop/front"), "{}", diff.out);

    let tests = ground.dir().join("shop.test.yaml");
    fs::write(
        &tests,
        "tests:\n- name: db\n  to: shop/db:5432\n  allow: [shop/api]\n  deny: [shop/front, internet]\n",
    )
    .expect("a file");
    let tested = asked(&ground, &ground.admin, &format!("test {}", tests.display()));
    assert_eq!(tested.code, 0, "{}\n{}", tested.out, tested.err);
    let report = asked(&ground, &ground.admin, "report -o html");
    assert!(report.code == 0 && report.out.contains("shop/db"), "{}", report.err);

    let listing = asked(&ground, &ground.admin, "get -n shop -o json");
    assert_eq!(listing.code, 0, "{}", listing.err);
    let listing = listing.json();
    assert_eq!(listing["policies"][0], json!({"policy": "shop/db", "directions": ["ingress"], "pods": 1}));
    let db = listing["pods"].as_array().unwrap().iter().find(|pod| pod["pod"] == "shop/db").unwrap();
    assert_eq!((&db["node"], &db["ingress"]["isolated"]), (&json!("w1"), &json!(true)));
}

/// Lists come in pages, and what has ended is no end.
#[test]
fn a_large_cluster_is_read_page_by_page() {
    let ground = Ground::new("ctl pages");
    burst::create(&ground, 0..1_201);
    let ended = burst::name(7);
    let patch = r#"{"status":{"phase":"Succeeded"}}"#;
    ground.run(&format!(
        "patch pod {ended} --namespace shop --subresource status --type merge --patch {patch}"
    ));
    let ran = asked(&ground, &ground.admin, "matrix --by namespace -v -o json");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("read: 1200 pods"), "{}", ran.err);
}
