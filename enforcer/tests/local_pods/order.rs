//! The order of CNI ADD and DEL, and what is left over from other times.

use super::host::{Host, default_deny, host_mac, ip, namespace, pod, put, result, veth};
use std::fs;

#[test]
fn a_pod_is_nobody_between_its_lease_and_its_result_and_after_its_lease() {
    namespace(3);
    let host = Host::start("order", vec![pod("seen", None), default_deny()]);
    // Something is written by CNI here, so that leases count.
    host.lease("c1", 2);
    host.result("c1", "seen", 2, 1);
    host.eventually("a bound pod is attached by its result", || host.owner(2) == "shop/seen");
    assert!(host.ingress(2).contains("Goto"), "isolated");

    // The pod's status is there already, from another life, when its new address is leased.
    host.lease("c2", 3);
    host.tell(vec![pod("late", Some(3))]);
    host.lease("c3", 4);
    host.result("c3", "last", 4, 3);
    host.eventually("what came later is in force", || host.owner(4) == "shop/last");
    assert_eq!(host.owner(3), "", "leased, and nobody's");
    host.result("c2", "late", 3, 2);
    host.eventually("its result names it", || host.owner(3) == "shop/late");

    // DEL: the lease goes first. The API still lists the pod with its address.
    host.tell(vec![pod("seen", Some(2))]);
    fs::remove_file(host.lease_path(2)).expect("the lease");
    host.eventually("it is detached", || host.owner(2).is_empty());
    ip("link del veth1\n");
    fs::remove_file(host.result_path("c1")).expect("the result");

    // The next pod there is never judged as the old one, and not as both.
    host.lease("c4", 2);
    ip(&veth(4));
    host.result("c4", "heir", 2, 4);
    host.eventually("the heir is there", || !host.owner(2).is_empty());
    assert_eq!(host.owner(2), "shop/heir");
    assert!(host.ingress(2).contains("Goto"), "never seen by the API: isolated by its namespace's policies");
}

#[test]
fn a_result_whose_veth_does_not_live_attaches_nobody() {
    namespace(3);
    let host = Host::start("dead", vec![default_deny()]);
    for (container, text) in [
        ("gone", result("gone", "gone", 2, "veth9", &host_mac(9))),
        ("mac", result("mac", "mac", 3, "veth2", &host_mac(9))),
    ] {
        put(&host.result_path(container), &text);
    }
    ip("link set veth3 nomaster\n");
    host.result("loose", "loose", 4, 3);
    host.lease("alive", 5);
    host.result("alive", "alive", 5, 1);
    host.eventually("the living one is attached", || host.owner(5) == "shop/alive");
    assert_eq!([2, 3, 4].map(|n| host.owner(n)), ["", "", ""]);

    // Proof of life is looked at again whenever links change.
    ip("link set veth3 master cni0\n");
    host.eventually("it is on the bridge now", || host.owner(4) == "shop/loose");
    ip("link del veth1\n");
    host.eventually("its veth is gone", || host.owner(5).is_empty());
}

#[test]
fn a_sandbox_made_anew_keeps_its_pods_verdicts() {
    namespace(2);
    let host = Host::start("anew", vec![pod("web", Some(2)), default_deny()]);
    host.lease("c1", 2);
    host.result("c1", "web", 2, 1);
    host.eventually("attached", || host.owner(2) == "shop/web");
    let verdict = host.ingress(2);
    // The API is away: the status keeps the old address.
    fs::remove_file(host.lease_path(2)).expect("the lease");
    fs::remove_file(host.result_path("c1")).expect("the result");
    ip("link del veth1\n");
    host.lease("c2", 3);
    host.result("c2", "web", 3, 2);
    host.eventually("the new address is the pod's", || host.owner(3) == "shop/web");
    assert_eq!((host.ingress(3), host.owner(2)), (verdict, String::new()));
}

/// K8S_POD_UID of a static pod is a hash of the kubelet's own, and its mirror has another: names are what counts.
#[test]
fn leftovers_of_a_reboot_and_of_failed_adds_are_nobodys() {
    namespace(1);
    let host = Host::start("reboot", vec![pod("static-w1", None), pod("old", Some(7)), default_deny()]);
    host.lease("dead", 7);
    put(&host.result_path("dead"), &result("dead", "old", 7, "veth7", &host_mac(7)));
    put(&host.result_path("torn"), "");
    host.lease("torn", 8);
    host.lease("c1", 2);
    host.result("c1", "static-w1", 2, 1);
    host.eventually("the static pod", || host.owner(2) == "shop/static-w1");
    assert_eq!(
        [7, 8].map(|n| host.owner(n)),
        ["", ""],
        "a status from before the reboot does not count either"
    );
}

#[test]
fn two_claims_on_one_address_are_judged_by_both() {
    namespace(2);
    let host = Host::start("claims", vec![pod("one", None), pod("two", None), default_deny()]);
    host.lease("c1", 2);
    host.result("c1", "one", 2, 1);
    host.eventually("attached", || host.owner(2) == "shop/one");
    host.result("c2", "two", 2, 2);
    host.eventually("both", || host.owner(2) == "shop/one,shop/two");
}
