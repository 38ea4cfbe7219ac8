//! What is said when a cluster cannot be asked, and how it ends.

use super::{asked, policyctl, shop};
use crate::ground::Ground;
use conformance::cluster::Identity;
use serde_json::json;
use std::{fs, path::Path};

/// Gives a user the right to list all that policyctl needs, but one resource.
fn grant(ground: &Ground, user: &str, but: &str) {
    let all = ["namespaces", "nodes", "services", "endpointslices", "networkpolicies", "pods"];
    let resources: Vec<&str> = all.into_iter().filter(|resource| *resource != but).collect();
    ground.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "reader"},
        "rules": [{"apiGroups": ["", "networking.k8s.io", "discovery.k8s.io"], "resources": resources, "verbs": ["list"]}]}));
    ground.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "reader"},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"}}));
}

#[test]
fn a_missing_right_is_named_and_the_rest_is_enough() {
    let ground = Ground::new("ctl rights");
    shop(&ground);
    let config = ground.kubeconfig(Identity { user: "reader", group: "" }).expect("a kubeconfig");
    for (resource, group) in [("nodes", ""), ("networkpolicies", "networking.k8s.io"), ("pods", "")] {
        grant(&ground, "reader", resource);
        let ran = asked(&ground, &config, "matrix");
        assert_eq!(ran.code, 4, "{}", ran.err);
        let said = ran.said();
        assert!(said.contains("forbids to list ") && said.contains(resource), "{said}");
        assert!(
            said.contains(&format!("grant the verb list on {resource} in API group \"{group}\"")),
            "{said}"
        );
    }
    grant(&ground, "reader", "nothing");
    let ran = asked(&ground, &config, "can shop/api shop/db:5432");
    assert_eq!((ran.code, &*ran.out), (0, "Allowed\n"), "{}", ran.err);

    // The administrator may ask as somebody else.
    let as_reader = asked(&ground, &ground.admin, "can shop/api shop/db:5432 --as reader");
    assert_eq!(as_reader.code, 0, "{}", as_reader.err);
    let as_stranger = asked(&ground, &ground.admin, "matrix --as stranger");
    assert_eq!(as_stranger.code, 4, "{}", as_stranger.err);
    assert!(as_stranger.said().contains("User \"stranger\" cannot list"), "{}", as_stranger.err);
    let as_master =
        asked(&ground, &ground.admin, "can shop/api shop/db:5432 --as stranger --as-group system:masters");
    assert_eq!(as_master.code, 0, "{}", as_master.err);
    let groups_alone = asked(&ground, &ground.admin, "matrix --as-group system:masters");
    assert_eq!(groups_alone.code, 2, "{}", groups_alone.err);
}

#[test]
fn what_cannot_be_asked_is_told_apart() {
    let mut ground = Ground::new("ctl errors");
    let admin = ground.admin.clone();
    let of = |ground: &Ground, line: &str, code: u8, words: &str| {
        let ran = asked(ground, &admin, line);
        assert_eq!(ran.code, code, "{line}: {}", ran.err);
        assert!(ran.said().contains(words), "{line}: {}", ran.said());
    };
    of(&ground, "matrix --context labb", 2, "has no context labb");
    of(&ground, "matrix --context labb", 2, "did you mean lab?");

    let missing = asked(&ground, Path::new("/nowhere/config"), "matrix");
    assert_eq!(missing.code, 2, "{}", missing.err);
    assert!(missing.said().contains("/nowhere/config: there is no such kubeconfig"), "{}", missing.err);

    let text = fs::read_to_string(&admin).expect("the kubeconfig");
    let write = |name: &str, text: &str| {
        let path = ground.dir().join(name);
        fs::write(&path, text).expect("a file");
        path
    };
    let broken = asked(&ground, &write("broken.conf", "clusters: 7"), "matrix");
    assert_eq!(broken.code, 2, "{}", broken.err);
    assert!(broken.said().contains("not a kubeconfig that can be used"), "{}", broken.err);

    let token = ground.dir().join("token");
    fs::write(&token, "expired").expect("a file");
    let expired = ground.kubeconfig_of_token("expired", &token).expect("a kubeconfig");
    let expired = asked(&ground, &expired, "matrix");
    assert_eq!(expired.code, 4, "{}", expired.err);
    assert!(expired.said().contains("does not take these credentials"), "{}", expired.err);

    let elsewhere = write("elsewhere.conf", &text.replace(":6443", ":6444"));
    for verb in ["matrix", "status", "verify", "explain a/b c/d:1"] {
        let ran = asked(&ground, &elsewhere, verb);
        assert_eq!(ran.code, 4, "{verb}: {}", ran.err);
        assert!(ran.said().contains("https://172.30.0.1:6444 cannot be reached"), "{verb}: {}", ran.err);
    }
    ground.kill();
    of(&ground, "matrix", 4, "cannot be reached");

    let nobody =
        policyctl(&ground, &["verify", "-f", &admin.display().to_string(), "--policyd", "ftp://x:1"]);
    assert_eq!(nobody.code, 2, "{}", nobody.err);
    let refused = policyctl(&ground, &["verify", "-f", "/dev/null", "--policyd", "http://127.0.0.1:1"]);
    assert_eq!(refused.code, 4, "{}\n{}", refused.out, refused.err);
    assert!(refused.out.contains("127.0.0.1:1"), "{}", refused.out);
}
