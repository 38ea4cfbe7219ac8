//! What Palisade is measured beside does what it should: the rebuilt layouts let the flows of the benches pass and deny others.

use conformance::bench::{
    Load, Stage, WAYS,
    layout::{self, Established},
};

/// Enough that all of a layout's strides are there.
const POLICIES: usize = 12;

#[test]
fn rebuilt_layouts_permit_what_policies_permit_and_nothing_else() {
    let mut stage = Stage::raise().expect("a lab");
    let lab = stage.lab();
    let base = layout::empty(lab, "the base", "empty");
    let layouts = [
        layout::kube_router_iptables(lab, "accepted", POLICIES, Established::Accepted),
        layout::kube_router_iptables(lab, "judged", POLICIES, Established::Judged),
        layout::kube_router_nftables(lab, "kube-router", POLICIES),
        layout::calico(lab, "calico", POLICIES),
    ];
    for contender in layouts.iter().chain([&base]) {
        stage.install(contender).unwrap_or_else(|error| panic!("{}: {error}", contender.name));
    }
    for way in WAYS {
        stage.wake(&[&base]).expect("the base");
        let flow = stage.flow(way).expect("a flow");
        let denied = stage.denied(way).expect("a flood");
        let new_flows = stage.new_flows(way).expect("new flows");
        assert!(denied.arriving().expect("a flood") > 0, "{}: nothing denies in the base", way.name);
        for contender in &layouts {
            stage.wake(&[contender]).expect("a layout");
            let at = format!("{}, {}", contender.name, way.name);
            new_flows.burst().unwrap_or_else(|error| panic!("{at}: new flows: {error}"));
            flow.burst().unwrap_or_else(|error| panic!("{at}: a flow: {error}"));
            assert_eq!(denied.arriving().expect("a flood"), 0, "{at}: what nothing permits");
        }
    }
}
