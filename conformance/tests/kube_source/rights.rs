//! Credentials and rights: none, wrong ones, too few, renewed ones.

use super::{
    burst,
    daemon::{Daemon, run},
    ground::{Ground, eventually, policy},
};
use conformance::cluster::Identity;
use serde_json::json;
use std::{fs, path::Path, thread, time::Duration};

/// A role with these verbs on everything but one resource, and with others on that.
fn grant(ground: &Ground, user: &str, but: &str, verbs: &[&str]) {
    let all = ["namespaces", "nodes", "services", "networkpolicies", "pods"];
    let most: Vec<&str> = all.into_iter().filter(|resource| *resource != but).collect();
    let rule = |resources: &[&str], verbs: &[&str]| json!({"apiGroups": ["", "networking.k8s.io"], "resources": resources, "verbs": verbs});
    ground.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "policyd"}, "rules": [rule(&most, &["list", "watch"]), rule(&[but], verbs)]}));
    ground.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "policyd"}, "subjects": [{"kind": "User", "name": user,
        "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": "policyd", "apiGroup": "rbac.authorization.k8s.io"}}));
}

fn once(ground: &Ground, config: &Path) -> (Option<i32>, String) {
    let output = run(ground, config, &["--once"]);
    // Messages are wrapped at the terminal's width.
    let said = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    (output.status.code(), said.replace("│ ", ""))
}

#[test]
fn a_missing_right_is_named_and_once_granted_it_goes_on() {
    let ground = Ground::new("kube rights");
    burst::create(&ground, 0..4);
    let config = ground.kubeconfig(Identity { user: "policyd", group: "" }).unwrap();
    grant(&ground, "policyd", "networkpolicies", &["get"]);
    let (status, said) = once(&ground, &config);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("networkpolicies.networking.k8s.io is forbidden: User \"policyd\" cannot"),
        "{said}"
    );
    assert!(
        said.contains("grant the verbs list and watch on networkpolicies in API group \"networking.k8s.io\"")
    );

    let daemon = Daemon::launch(&ground, &config);
    eventually("it is said", || daemon.log().contains("networkpolicies.networking.k8s.io is forbidden"));
    assert!(!daemon.is_ready(), "a state without policies is none");
    grant(&ground, "policyd", "networkpolicies", &["list", "watch"]);
    eventually("it is ready", || daemon.is_ready());
    let (status, said) = once(&ground, &config);
    assert_eq!(status, Some(0), "least rights are enough: {said}");
}

#[test]
fn credentials_that_are_none_are_told_apart() {
    let mut ground = Ground::new("kube credentials");
    let (status, said) = once(&ground, Path::new("/nowhere/kubeconfig"));
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("/nowhere/kubeconfig: no such file"), "{said}");

    let broken = ground.dir().join("broken.conf");
    fs::write(&broken, "clusters: 7").unwrap();
    let (status, said) = once(&ground, &broken);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("not a kubeconfig that can be used"), "{said}");

    let token = ground.dir().join("token");
    fs::write(&token, "not-a-token").unwrap();
    let config = ground.kubeconfig_of_token("wrong", &token).unwrap();
    let (status, said) = once(&ground, &config);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("does not know these credentials"), "{said}");

    ground.kill();
    let (status, said) = once(&ground, &ground.admin);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("the API server cannot be reached") && said.contains("Connection refused"),
        "{said}"
    );
}

#[test]
fn a_renewed_token_is_read_again_and_nothing_is_lost_in_between() {
    let ground = Ground::new("kube token");
    let user = "system:serviceaccount:shop:policyd";
    ground.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "policyd", "namespace": "shop"}}));
    grant(&ground, user, "pods", &["list", "watch"]);
    // A token is valid as long as what it is bound to.
    let bound = |name: &str| {
        ground.run(&format!("create secret generic {name} --namespace shop"));
        ground.run(&format!(
            "create token policyd --namespace shop --bound-object-kind Secret --bound-object-name {name}"
        ))
    };
    let token = ground.dir().join("token");
    fs::write(&token, bound("first").trim()).unwrap();
    let config = ground.kubeconfig_of_token("account", &token).unwrap();
    ground.apply(&policy("db", "api"));
    burst::create(&ground, 0..8);
    let daemon = Daemon::launch(&ground, &config);
    eventually("it is ready", || daemon.is_ready());
    daemon.settles(&ground);
    let before = daemon.tables();

    ground.run("delete secret first --namespace shop");
    // The API server remembers for ten seconds that a token was good; a restart forgets it, and ends every watch.
    let mut ground = ground;
    ground.restart().unwrap();
    eventually("it is said", || daemon.log().contains("does not know these credentials"));
    burst::create(&ground, 8..12);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(daemon.tables(), before);

    let second = {
        ground.run("create secret generic second --namespace shop");
        ground.run(
            "create token policyd --namespace shop --bound-object-kind Secret --bound-object-name second",
        )
    };
    fs::write(&token, second.trim()).unwrap();
    eventually("the new pods are in force", || daemon.metric("palisade_pods ") == 12.0);
    daemon.settles(&ground);
}
