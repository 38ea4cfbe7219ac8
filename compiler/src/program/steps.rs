//! A program's chains: steps in the order of their cost, then deny.
//!
//! 1. ports that every peer may use
//! 2. `exact`: (peer, protocol, port)
//! 3. peers that may do everything
//! 4. a map of the other peers to their port profile
//! 5. one look-up for each shared selector
//! 6. address ranges
//!
//! Steps without content are left out. The map of 4 sends a packet away, so 5 and 6 then stand in a tail chain of their own
//! that the profiles go on to.

use super::{
    FAMILY, PeerSets, Program,
    blocks::{self, Objects},
    ports, stable_hash,
};
use crate::{
    desired::Desired,
    ir::{Chain, Name, Rule},
    skeleton::{AddressFamily, Orientation},
};
use policy_model::portset::PortSet;

/// A selector whose members stand in a set that programs share, with what this program allows them.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) sets: [Name; 2],
    pub(crate) ports: PortSet,
}

/// All chains of a program, and the sets that only they need; the sets of peers are kept by whoever places the peers.
pub(crate) fn chains(program: &Program, shared: &[Shared], desired: &Desired) -> Objects {
    let mut objects = Objects::default();
    for family in AddressFamily::BOTH {
        for orientation in Orientation::BOTH {
            family_chains(program, shared, desired, family, orientation, &mut objects);
        }
    }
    objects
}

/// The chains of a program that allows nothing.
pub(crate) fn denial(program: &Program) -> Objects {
    let mut objects = Objects::default();
    for family in AddressFamily::BOTH {
        for orientation in Orientation::BOTH {
            objects.chains.insert(program.entry(family, orientation), Chain::regular(vec![program.denied()]));
        }
    }
    objects
}

fn family_chains(
    program: &Program,
    shared: &[Shared],
    desired: &Desired,
    family: AddressFamily,
    orientation: Orientation,
    objects: &mut Objects,
) {
    let (peer, port) = blocks::fields(program.direction(), family, orientation);
    let range_set = |ranges: &_| program.object(format_args!("q{:08x}", stable_hash(ranges) as u32));
    let filled = |name: &Name| desired.set(FAMILY, name).is_some_and(|set| !set.elements.is_empty());

    let mut rules = Vec::new();
    if !program.any.is_empty() {
        rules.extend(ports::rules(&Rule::new(), &program.any, port, range_set, &mut objects.sets));
    }
    let PeerSets { exact: (exact, _), everything: (everything, _), profiles: maps } =
        program.peer_sets(family);
    if filled(exact) {
        rules.push(Rule::new().lookup(&[peer, crate::ir::Field::L4Proto, port], exact));
    }
    if filled(everything) {
        rules.push(Rule::new().lookup(&[peer], everything));
    }
    let mut tail = Vec::new();
    for selector in shared {
        let member = Rule::new().lookup(&[peer], &selector.sets[family as usize]);
        tail.extend(ports::rules(&member, &selector.ports, port, range_set, &mut objects.sets));
    }
    let mut rules: Vec<_> = rules.into_iter().map(Rule::ret).collect();
    let mut tail: Vec<_> = tail.into_iter().map(Rule::ret).collect();
    tail.extend(blocks::step(program, family, orientation, (peer, port), objects));
    tail.push(program.denied());

    let profiles = &program.profiles[family as usize];
    if profiles.is_empty() {
        rules.append(&mut tail);
    } else {
        let last = if tail.len() == 1 {
            program.denied()
        } else {
            let name = program.object(format_args!("t-{}{}", orientation.letter(), family.digit()));
            let last = Rule::new().goto(&name);
            objects.chains.insert(name, Chain::regular(tail));
            last
        };
        for ports in profiles.keys() {
            let chain = program.profile_chain(ports, family, orientation);
            let allowed = ports::rules(&Rule::new(), ports, port, range_set, &mut objects.sets);
            let rules = allowed.into_iter().map(Rule::ret).chain([last.clone()]);
            objects.chains.insert(chain, Chain::regular(rules.collect()));
        }
        rules.push(Rule::new().vmap(peer, &maps[orientation as usize].0));
        rules.push(last);
    }
    objects.chains.insert(program.entry(family, orientation), Chain::regular(rules));
}
