//! What must become of a stream's datagrams, by what the model says before and after something happens.

use super::streams::{Stream, Streams};
use crate::random::PODS;
use policy_model::cluster::Cluster;

/// What must become of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Must {
    /// Every one arrives.
    Pass,
    /// None arrives.
    Drop,
    /// Nothing is said of them.
    Either,
}

/// What the model says of a stream: of each end by itself, since two nodes do not change at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sides {
    pub(super) egress: bool,
    pub(super) ingress: bool,
}

impl Sides {
    pub(super) fn allowed(self) -> bool {
        self.egress && self.ingress
    }
}

/// What the model says of every stream; `None` for those whose hosts are not both there.
pub(super) fn verdicts(cluster: &Cluster, streams: &Streams) -> Vec<Option<Sides>> {
    let sides = |stream: &Stream| {
        let verdict = cluster.verdict(&stream.flow(|host, family| streams.address(host, family))?);
        Some(Sides { egress: verdict.egress.allowed, ingress: verdict.ingress.allowed })
    };
    streams.list().iter().map(sides).collect()
}

/// While nothing happens.
pub(super) fn calm(sides: Option<Sides>) -> Must {
    match sides {
        None => Must::Either,
        Some(sides) if sides.allowed() => Must::Pass,
        Some(_) => Must::Drop,
    }
}

/// While the cluster goes from one state to another: what the model says of a stream in each state that may be seen on the way.
pub(super) fn change(stream: &Stream, states: &[Option<Sides>]) -> Must {
    let Some(states) = states.iter().copied().collect::<Option<Vec<Sides>>>() else { return Must::Either };
    // One node judges both ends in one ruleset; with two, either may be ahead of the other.
    let mixed: Vec<bool> = if one_ruleset(stream) {
        states.iter().map(|state| state.allowed()).collect()
    } else {
        let egress = states.iter().map(|state| state.egress);
        egress.flat_map(|egress| states.iter().map(move |state| egress && state.ingress)).collect()
    };
    match mixed.iter().filter(|allowed| **allowed).count() {
        0 => Must::Drop,
        all if all == mixed.len() => Must::Pass,
        _ => Must::Either,
    }
}

/// The node of a host; `None` for the one outside.
pub(super) fn node_of(host: usize) -> Option<u8> {
    PODS.get(host).map(|pod| pod.2)
}

fn one_ruleset(stream: &Stream) -> bool {
    match (node_of(stream.from), node_of(stream.to)) {
        (Some(from), Some(to)) => from == to,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Family;

    const ALLOWED: Option<Sides> = Some(Sides { egress: true, ingress: true });
    const NO_EGRESS: Option<Sides> = Some(Sides { egress: false, ingress: true });
    const NO_INGRESS: Option<Sides> = Some(Sides { egress: true, ingress: false });

    fn stream(from: usize, to: usize) -> Stream {
        Stream { from, to, family: Family::V4, port: 82 }
    }

    #[test]
    fn what_is_the_same_before_and_after_holds_in_between() {
        // East/p0 and east/p1 are on node 1, east/p2 is on node 2.
        for pair in [stream(0, 1), stream(0, 2), stream(0, PODS.len())] {
            assert_eq!(change(&pair, &[ALLOWED, ALLOWED]), Must::Pass);
            assert_eq!(change(&pair, &[NO_EGRESS, NO_EGRESS]), Must::Drop);
            assert_eq!(change(&pair, &[ALLOWED, NO_INGRESS]), Must::Either);
            assert_eq!(change(&pair, &[None, ALLOWED]), Must::Either);
        }
    }

    #[test]
    fn two_nodes_do_not_change_at_one_instant() {
        assert_eq!(change(&stream(0, 1), &[NO_EGRESS, NO_INGRESS]), Must::Drop);
        assert_eq!(change(&stream(0, 2), &[NO_EGRESS, NO_INGRESS]), Must::Either);
    }

    #[test]
    fn what_may_be_seen_on_the_way_counts() {
        assert_eq!(change(&stream(0, 1), &[ALLOWED, NO_EGRESS, ALLOWED]), Must::Either);
        assert_eq!(change(&stream(0, 1), &[NO_EGRESS, NO_INGRESS, NO_EGRESS]), Must::Drop);
    }
}
