//! What the kernel holds follows what the API server says.

use super::{
    burst,
    daemon::{Daemon, run},
    ground::{Ground, eventually, policy},
};
use nix::sys::signal::Signal;
use serde_json::json;
use std::time::Instant;

/// Default deny, and who may reach whom.
pub(crate) fn policies(ground: &Ground) {
    ground.apply(&json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "deny", "namespace": "shop"}, "spec": {"podSelector": {}}}));
    for (subject, from) in [("api", "front"), ("db", "api"), ("pay", "api")] {
        ground.apply(&policy(subject, from));
    }
    ground.apply(&json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "team", "namespace": "shop"}, "spec": {"podSelector": {"matchLabels": {"app": "front"}},
        "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"team": "red"}}}]}]}}));
}

#[test]
fn a_thousand_pods_in_bursts_are_followed_and_what_policy_does_not_need_is_no_news() {
    let ground = Ground::new("kube burst");
    policies(&ground);
    // 400 are listed, and 600 more come while policyd starts.
    burst::create(&ground, 0..400);
    let daemon = Daemon::start(&ground);
    let begin = Instant::now();
    burst::create(&ground, 400..1000);
    daemon.settles(&ground);
    println!("600 pods created, given a status and in force after {:?}", begin.elapsed());
    assert_eq!(daemon.metric("palisade_pods "), 1000.0);

    let revision = daemon.metric("palisade_revision ");
    let reads = daemon.metric("palisade_source_reads_total ");
    burst::touch(&ground, 0..100, "alive");
    // What comes after all that has been seen.
    burst::label(&ground, 0, "pay");
    eventually("the label is in force", || daemon.metric("palisade_revision ") > revision);
    daemon.settles(&ground);
    assert!(
        daemon.metric("palisade_source_reads_total ") <= reads + 2.0,
        "a hundred status updates were news"
    );

    let begin = Instant::now();
    burst::delete(&ground, 200..800);
    daemon.settles(&ground);
    println!("600 pods deleted and out of force after {:?}", begin.elapsed());
    assert_eq!(daemon.metric("palisade_pods "), 400.0);

    burst::finish(&ground, 0..20);
    eventually("ended pods are gone", || daemon.metric("palisade_pods ") == 380.0);
    daemon.settles(&ground);
    assert_eq!(daemon.stop(Signal::SIGTERM), Some(0));
}

#[test]
fn a_relabelled_namespace_changes_who_may_enter() {
    let ground = Ground::new("kube relabel");
    policies(&ground);
    burst::create(&ground, 0..16);
    let daemon = Daemon::start(&ground);
    daemon.settles(&ground);
    let before = daemon.tables();
    ground.run("label namespace shop team=red");
    eventually("the label is in force", || daemon.tables() != before);
    daemon.settles(&ground);
    ground.run("label namespace shop team-");
    daemon.settles(&ground);
}

#[test]
fn policies_of_an_ending_namespace_hold_until_its_last_pod_is_gone() {
    let ground = Ground::new("kube ending");
    policies(&ground);
    burst::create(&ground, 0..8);
    let daemon = Daemon::start(&ground);
    daemon.settles(&ground);
    let isolated = |daemon: &Daemon| daemon.metric("palisade_isolated_pods{direction=\"ingress\"");
    assert_eq!(isolated(&daemon), 4.0, "all pods of this node");

    // No controller finishes it: the namespace stays in its end as long as the test needs.
    ground.run("delete namespace shop --wait=false");
    ground.run("delete networkpolicy --namespace shop --all");
    burst::delete(&ground, 1..8);
    eventually("one pod is left", || daemon.metric("palisade_pods ") == 1.0);
    assert_eq!(isolated(&daemon), 1.0, "it is as isolated as before");
    assert!(daemon.metric("palisade_policies ") >= 5.0);

    burst::delete(&ground, 0..1);
    eventually("the policies go with the last pod", || daemon.metric("palisade_policies ") == 0.0);
    daemon.settles(&ground);
}

#[test]
fn deleted_policies_of_a_living_namespace_open_it() {
    let ground = Ground::new("kube open");
    policies(&ground);
    burst::create(&ground, 0..8);
    let daemon = Daemon::start(&ground);
    ground.run("delete networkpolicy --namespace shop --all");
    eventually("nothing is isolated", || daemon.metric("palisade_isolated_pods") == 0.0);
    daemon.settles(&ground);
}

#[test]
fn without_streaming_lists_pages_are_read() {
    let ground = Ground::with_arguments("kube pages", &["--feature-gates=WatchList=false"]);
    policies(&ground);
    // More than a page.
    burst::create(&ground, 0..600);
    let daemon = Daemon::start(&ground);
    assert_eq!(daemon.metric("palisade_pods "), 600.0);
    daemon.settles(&ground);
    burst::delete(&ground, 0..10);
    eventually("the watch goes on from the list", || daemon.metric("palisade_pods ") == 590.0);
    daemon.settles(&ground);
}

#[test]
fn once_brings_the_state_into_force_and_a_dry_run_touches_nothing() {
    let ground = Ground::new("kube once");
    policies(&ground);
    burst::create(&ground, 0..8);
    let dry = run(&ground, &ground.admin, &["--dry-run"]);
    assert!(dry.status.success() && String::from_utf8_lossy(&dry.stdout).contains("comment \"shop/db-4\""));
    assert_eq!(ground.netns().exec(&["nft", "list", "tables"]).unwrap(), "");
    let once = run(&ground, &ground.admin, &["--once"]);
    assert!(once.status.success(), "{}", String::from_utf8_lossy(&once.stderr));
    assert!(String::from_utf8_lossy(&once.stdout).contains("4 local pods"), "{once:?}");
}
