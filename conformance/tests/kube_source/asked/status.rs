//! `policyctl status` reads what nodes write into their Leases.

use super::{asked, shop};
use crate::ground::Ground;
use serde_json::{Value, json};

fn lease(ground: &Ground, node: &str, renewed: &str, policies: &str, error: &Value) {
    let status = json!({"version": "0.1.0", "revision": 7, "policies": policies, "state": "live",
        "since": "2026-11-27T05:00:00Z", "lastError": error, "pods": 3, "isolated": 1, "programs": 1, "droppedPerMinute": 2});
    ground.apply(&json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": node, "namespace": "palisade-system", "annotations": {"palisade.dev/status": status.to_string()}},
        "spec": {"holderIdentity": node, "leaseDurationSeconds": 60, "renewTime": renewed}}));
}

/// The time now, as a Lease has it.
fn now(ground: &Ground) -> String {
    ground.netns().exec(&["date", "-u", "+%Y-%m-%dT%H:%M:%S.%6NZ"]).expect("the time").trim().to_owned()
}

#[test]
fn who_is_behind_is_told_by_the_leases() {
    let ground = Ground::new("ctl status");
    shop(&ground);
    ground.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "palisade-system"}}));
    let status = || asked(&ground, &ground.admin, "status");
    let nobody = status();
    assert_eq!(nobody.code, 3, "{}", nobody.err);
    assert!(nobody.out.contains("live on 0/2 nodes") && nobody.out.contains("no policyd"), "{}", nobody.out);

    let newest = || {
        ground.run("get networkpolicies --namespace shop db --output jsonpath={.metadata.resourceVersion}")
    };
    let before = newest();
    lease(&ground, "w1", &now(&ground), &before, &Value::Null);
    lease(&ground, "w2", &now(&ground), &before, &Value::Null);
    let all = status();
    assert_eq!(all.code, 0, "{}\n{}", all.out, all.err);
    assert!(all.out.contains("Palisade v0.1.0") && all.out.contains("live on 2/2 nodes"), "{}", all.out);

    ground.run("label networkpolicies --namespace shop db team=shop");
    lease(&ground, "w2", &now(&ground), &newest(), &Value::Null);
    lease(&ground, "w1", &now(&ground), &before, &json!("set in-40 refused: no buffer space"));
    let behind = asked(&ground, &ground.admin, "status -o json");
    assert_eq!(behind.code, 3, "{}", behind.err);
    let rows = behind.json()["rows"].clone();
    assert_eq!((&rows[0]["node"], &rows[0]["state"]), (&json!("w1"), &json!("behind")), "{rows:#}");
    assert!(rows[0]["why"].as_str().unwrap().contains("no buffer space"), "{rows:#}");
    assert!(rows[0]["lagSeconds"].as_i64().is_some_and(|lag| (0..60).contains(&lag)), "{rows:#}");
    assert_eq!(rows[1]["state"], "live");

    lease(&ground, "w1", "2026-01-01T00:00:00.000000Z", &newest(), &Value::Null);
    let silent = status();
    assert_eq!(silent.code, 3);
    assert!(silent.out.contains("silent") && silent.out.contains("nothing heard for"), "{}", silent.out);
    let with_files = asked(&ground, &ground.admin, "status -f /dev/null");
    assert_eq!(with_files.code, 2, "{}", with_files.err);
}
