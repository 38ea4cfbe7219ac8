//! Which program judges which local address, and the sets that tell a local pod's frames and a node's addresses.

use super::{Compiler, Dispatched, PodKey};
use crate::{
    ir::{Attributes, Comment, Family, Key, Name, Verdict},
    program::{ProgramId, ProgramKey},
    skeleton::{
        AddressFamily, NA6, OPEN_PORTS, OWN, OWN4, OWN6, Orientation, PORTS, dispatch_map, nodes_set,
        self_set,
    },
};
use policy_model::{object::Node, policy::Direction};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

/// An element's comment holds at most this many bytes.
const COMMENT_MAX: usize = 127;

type Elements = BTreeMap<Key, Option<Box<Attributes>>>;

impl Compiler {
    /// The addresses by which a local pod's packets are known: its own, and its interfaces' link-local ones.
    pub(super) fn dispatch_addresses(&self, key: PodKey) -> Vec<IpAddr> {
        let ports =
            self.interfaces_of.get(&key).into_iter().flatten().filter_map(|id| self.interfaces.get(id));
        let mut addresses: Vec<_> =
            self.owned_addresses(key).into_iter().chain(ports.map(|port| port.link_local())).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// The live pods that an address belongs to.
    fn claimants(&self, address: IpAddr) -> Vec<PodKey> {
        if let Some(claimants) = self.claims.get(&address) {
            return claimants.to_vec();
        }
        let link_local = self.interfaces.values().filter(|port| port.link_local() == address);
        let keys = link_local.filter_map(|port| {
            Some((self.interner.find(&port.pod.namespace)?, self.interner.find(&port.pod.name)?))
        });
        keys.collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub(super) fn derive_addresses(&mut self) {
        let mut addresses = std::mem::take(&mut self.dirty.addresses);
        addresses.extend(&self.contested);
        for address in addresses {
            let claimants = self.claimants(address);
            let local = claimants.iter().any(|&key| self.is_local(key));
            if local && claimants.len() > 1 {
                self.contested.insert(address);
            } else {
                self.contested.remove(&address);
            }
            let before = self.dispatched.remove(&address).unwrap_or_default();
            if local {
                let programs = Direction::BOTH.map(|direction| self.address_program(&claimants, direction));
                self.put_dispatch(address, programs, &self.comment(&claimants));
                self.dispatched.insert(address, Dispatched { programs });
            } else {
                self.remove_dispatch(address);
            }
            for program in before.programs.into_iter().flatten() {
                self.release(program);
            }
        }
    }

    /// The program for an address in one direction: with several claimants all of their decisions must allow.
    fn address_program(&mut self, claimants: &[PodKey], direction: Direction) -> Option<ProgramId> {
        if let [key] = claimants
            && let Some(local) = self.locals.get(key)
        {
            let id = local.programs[direction as usize]?;
            self.hold(id);
            return Some(id);
        }
        let decisions = claimants.iter().filter_map(|&key| self.decision(key, direction));
        let isolating: BTreeSet<_> = decisions.filter(|d| !d.allows_all()).map(Arc::new).collect();
        let all_of: Vec<_> = isolating.into_iter().collect();
        (!all_of.is_empty()).then(|| self.acquire(ProgramKey { direction, all_of }))
    }

    fn comment(&self, claimants: &[PodKey]) -> Comment {
        let mut names: Vec<_> = claimants.iter().map(|&key| self.object_key(key).to_string()).collect();
        names.sort();
        let comment: String = names.join(",").chars().map(plain).take(COMMENT_MAX).collect();
        comment.into()
    }

    fn put_dispatch(&mut self, address: IpAddr, programs: [Option<ProgramId>; 2], comment: &Comment) {
        let family = AddressFamily::of(address);
        for direction in Direction::BOTH {
            let program = programs[direction as usize].and_then(|id| self.programs.get(id as usize));
            let entries = Orientation::BOTH.map(|o| (o, program.map(|p| p.entry(family, o))));
            for (orientation, entry) in entries {
                let verdict = entry.map_or(Verdict::Return, Verdict::Goto);
                let attributes =
                    Attributes { end: None, verdict: Some(verdict), comment: Some(comment.clone()) };
                let map = Name::from(dispatch_map(direction, family, orientation));
                let value = Some(Box::new(attributes));
                self.desired.put_element(Family::Inet, &map, Key::address(address), value);
            }
        }
        let both = self_key(address);
        self.desired.put_element(Family::Inet, &self_set(family).into(), both, None);
    }

    fn remove_dispatch(&mut self, address: IpAddr) {
        let family = AddressFamily::of(address);
        for direction in Direction::BOTH {
            for orientation in Orientation::BOTH {
                let map = Name::from(dispatch_map(direction, family, orientation));
                self.desired.remove_element(Family::Inet, &map, &Key::address(address));
            }
        }
        self.desired.remove_element(Family::Inet, &self_set(family).into(), &self_key(address));
    }

    /// Fills the sets that the guards ask: ports, and what is their own.
    pub(super) fn derive_guard(&mut self) {
        if !std::mem::take(&mut self.dirty.guard) {
            return;
        }
        let mut sets: BTreeMap<&str, Elements> =
            [PORTS, OPEN_PORTS, OWN, OWN4, OWN6, NA6].map(|name| (name, Elements::new())).into();
        let mut add = |set: &str, key: Key| {
            if let Some(elements) = sets.get_mut(set) {
                elements.insert(key, None);
            }
        };
        for port in self.interfaces.values() {
            let index = port.ifindex.to_ne_bytes();
            let own = || Key::default().then(&index).then(&port.mac);
            add(PORTS, Key::from_bytes(&index));
            add(OWN, own());
            for address in port.addresses.iter().copied().chain([port.link_local()]) {
                match address {
                    IpAddr::V4(v4) => add(OWN4, own().then(&v4.octets())),
                    IpAddr::V6(v6) => {
                        add(OWN6, own().then(&v6.octets()));
                        add(NA6, Key::default().then(&index).then(&v6.octets()));
                    }
                }
            }
            let key = self.interner.find(&port.pod.namespace).zip(self.interner.find(&port.pod.name));
            let local = key.and_then(|key| self.locals.get(&key));
            if local.is_some_and(|local| !local.isolated[Direction::Ingress as usize]) {
                add(OPEN_PORTS, Key::from_bytes(&index));
            }
        }
        self.desired.replace_elements(Family::Inet, &PORTS.into(), sets[PORTS].clone());
        if self.config.bridge_table {
            for (name, elements) in sets {
                self.desired.replace_elements(Family::Bridge, &name.into(), elements);
            }
        }
    }

    /// Every node's addresses: those of the node itself, and the first two of each of its pod ranges, which its overlay
    /// device and its bridge have.
    pub(super) fn derive_nodes(&mut self) {
        if !std::mem::take(&mut self.dirty.nodes) {
            return;
        }
        let nodes = self.nodes.values().flat_map(Node::own_addresses);
        let all = nodes.chain(self.config.addresses.iter().copied());
        let mut sets = [Elements::new(), Elements::new()];
        for address in all {
            sets[AddressFamily::of(address) as usize].insert(Key::address(address), None);
        }
        for (family, elements) in AddressFamily::BOTH.into_iter().zip(sets) {
            self.desired.replace_elements(Family::Inet, &nodes_set(family).into(), elements);
        }
    }
}

/// Names that an API server admits are of these characters alone. What others have written (CNI's files) must not break a listing.
fn plain(c: char) -> char {
    if c.is_ascii_alphanumeric() || "-._/,".contains(c) { c } else { '?' }
}

fn self_key(address: IpAddr) -> Key {
    let one = Key::address(address);
    Key::default().then(one.as_bytes()).then(one.as_bytes())
}
