//! Flows that conntrack has the wrong way round.
//!
//! Conntrack takes whoever sends the first packet that it sees for the initiator. Where it begins to look in the middle of a flow
//! (bridged traffic that it has not seen before, a table that somebody has flushed) that may be the server, by chance. Nobody
//! notices while neither end is isolated. Once the client may hear nobody, every packet of the flow is denied, and since each of them
//! keeps the entry alive, for as long as its ends go on. Without the entry, the client's next packet opens
//! the flow as policy allows, and the server's opens none.
//!
//! A flow that a policy has just forbidden looks alike: it is denied as it stands, and its server may well send to its client. Without
//! its entry it would go on as the server's. Which end is the server is known by its port alone: where the rules would
//! let the flow pass with both ports exchanged too, they do not tell, and it stays denied.

use crate::nft::{Tracked, Tuple};
use compiler::{
    config::Config,
    delta::{Delta, Op},
    ir::{Attributes, Family, Key, Ruleset, Verdict},
    sim::{self, Flow, Interface, Links, Moment, Route},
    skeleton::{AddressFamily, Orientation, dispatch_map},
};
use policy_model::policy::Direction;
use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
};

/// Of TCP, who has opened a flow is not known from its middle, and what is not allowed either way stays denied (chain `new`).
const TCP: u8 = 6;

/// Addresses of pods that a Delta isolates in a direction in which they were not; of all isolated ones where it makes the table.
/// A pod that is new is not one of them: nobody has opened a flow to it.
#[must_use]
pub(super) fn isolated(delta: &Delta) -> BTreeSet<IpAddr> {
    let anew = makes_the_table(delta);
    let maps: Vec<String> = [Direction::Egress, Direction::Ingress]
        .into_iter()
        .flat_map(|direction| {
            AddressFamily::BOTH.map(|family| dispatch_map(direction, family, Orientation::Original))
        })
        .collect();
    let mut open = HashSet::new();
    let mut isolated = BTreeSet::new();
    for op in &delta.ops {
        if let Op::DeleteElements { family: Family::Inet, set, elements, .. } = op
            && maps.iter().any(|map| **map == **set)
        {
            let keys = elements.iter().filter(|(_, attributes)| !leads_on(attributes.as_deref()));
            open.extend(keys.map(|(key, _)| (set, key)));
        }
    }
    for op in &delta.ops {
        if let Op::AddElements { family: Family::Inet, set, spec, elements } = op
            && maps.iter().any(|map| **map == **set)
            && let Some(kind) = spec.key.first()
        {
            let keys = elements.iter().filter(|(_, attributes)| leads_on(attributes.as_deref()));
            let keys = keys.filter(|(key, _)| anew || open.contains(&(set, key)));
            isolated.extend(keys.filter_map(|(key, _)| key.first_address(*kind)));
        }
    }
    isolated
}

/// All that is isolated by it is isolated at once.
#[must_use]
pub(super) fn makes_the_table(delta: &Delta) -> bool {
    delta.ops.iter().any(|op| matches!(op, Op::AddTable { family: Family::Inet }))
}

/// To a program.
fn leads_on(attributes: Option<&Attributes>) -> bool {
    attributes.is_some_and(|attributes| matches!(attributes.verdict, Some(Verdict::Goto(_))))
}

/// The rules drop the flow as conntrack has it, and would let it pass if its other end had opened it, to the port that it has
/// there and not to any.
#[must_use]
pub(super) fn is_turned(flow: &Tracked, ruleset: &Ruleset, config: &Config) -> bool {
    if flow.original.protocol == TCP || !flow.is_untranslated() {
        return false;
    }
    let passes = |tuple: &Tuple, moments: &[Moment]| {
        let Some(route) = route(tuple, ruleset) else { return false };
        let flow = Flow {
            source: tuple.source,
            destination: tuple.destination,
            protocol: tuple.protocol,
            ports: tuple.ports,
        };
        moments.iter().all(|&moment| {
            let (hook, packet) = flow.packet(route, &links(config), moment);
            let found = sim::evaluate(ruleset, Family::Inet, hook, &packet);
            found.is_ok_and(|outcome| outcome.verdict == sim::Verdict::Accept)
        })
    };
    let mirrored = flow.original.mirrored();
    let exchanged = Tuple { ports: flow.original.ports, ..mirrored };
    !passes(&flow.original, &[Moment::Established])
        && passes(&mirrored, &[Moment::First, Moment::Established, Moment::Reply])
        && !passes(&exchanged, &[Moment::First])
}

/// By which devices it goes; `None` if no end is a pod of this node.
fn route(tuple: &Tuple, ruleset: &Ruleset) -> Option<Route> {
    let family = AddressFamily::of(tuple.source);
    let map = dispatch_map(Direction::Egress, family, Orientation::Original);
    let pods = &ruleset.tables.get(&Family::Inet)?.sets.get(map.as_str())?.elements;
    let [source, destination] =
        [tuple.source, tuple.destination].map(|end| pods.contains_key(&Key::address(end)));
    match (source, destination) {
        (true, true) => Some(Route::Bridged),
        (true, false) => Some(Route::ToOverlay),
        (false, true) => Some(Route::FromOverlay),
        (false, false) => None,
    }
}

/// Other devices than the bridge count for nothing where an end is a pod.
fn links(config: &Config) -> Links {
    let default = Links::default();
    match config.bridges.first() {
        Some(bridge) => Links { bridge: Interface::new(default.bridge.index, bridge.clone()), ..default },
        None => default,
    }
}
