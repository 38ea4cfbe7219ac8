//! Where peer addresses stand in programs and in shared sets.

use super::{Compiler, PodState};
use crate::{
    desired::Desired,
    index::SelectorId,
    ir::{Attributes, Key, Name, SetSpec, Verdict},
    program::{FAMILY, Place, PortNames, Program, ProgramId, exact_key, shared_set},
    skeleton::{AddressFamily, Orientation},
};
use policy_model::{object::Protocol, portset::PortSet};
use smallvec::SmallVec;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

impl Compiler {
    /// The live pods that claim an address; `None` if there is none, or one of them is not known, or no pod can be a peer
    /// by this address.
    pub(super) fn peers_at(&self, address: IpAddr) -> Option<SmallVec<[&PodState; 2]>> {
        let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let claimants = self.claims.get(&address).filter(|_| !link_local)?;
        claimants.iter().map(|key| self.pods.get(*self.pod_ids.get(key)? as usize)).collect()
    }

    /// Whether every live claimant of an address is selected.
    pub(super) fn is_member(&self, selector: SelectorId, address: IpAddr) -> bool {
        let selected = |pod: &&PodState| pod.selectors.binary_search(&selector).is_ok();
        self.peers_at(address).is_some_and(|pods| pods.iter().all(selected))
    }

    /// Whether a program asks the shared set of a selector instead of having its members itself.
    pub(super) fn asks_shared(&self, program: &Program, selector: SelectorId) -> bool {
        self.selectors.get(selector).is_some_and(|entry| entry.shared.is_some())
            && program.peers.get(&selector).is_some_and(|ports| ports.names.is_empty())
    }

    /// What a program allows a peer address through selectors.
    fn peer_ports(&self, program: &Program, address: IpAddr) -> PortSet {
        let Some(pods) = self.peers_at(address) else { return PortSet::none() };
        let Some((first, others)) = pods.split_first() else { return PortSet::none() };
        let mut allowed = PortSet::none();
        for selector in &first.selectors {
            let Some(ports) = program.peers.get(selector) else { continue };
            if others.iter().any(|pod| pod.selectors.binary_search(selector).is_err())
                || self.asks_shared(program, *selector)
            {
                continue;
            }
            allowed = allowed.union(&ports.numbers);
            if !ports.names.is_empty() {
                allowed = allowed.union(&resolve(&ports.names, first, others));
            }
        }
        for (block, names) in &program.named_blocks {
            let inside = block.as_ref().is_none_or(|(cidr, except)| {
                cidr.contains(&address) && !except.iter().any(|e| e.contains(&address))
            });
            if inside {
                allowed = allowed.union(&resolve(names, first, others));
            }
        }
        allowed
    }

    /// Looks at every marked selector's sharing, then at every marked peer.
    pub(super) fn derive_peers(&mut self) {
        let mut programs = BTreeSet::new();
        for selector in std::mem::take(&mut self.dirty.selectors) {
            self.decide_sharing(selector);
            programs.extend(self.selectors.get(selector).iter().flat_map(|entry| entry.programs.iter()));
        }
        self.weigh_programs(programs);
        for (selector, address) in std::mem::take(&mut self.dirty.members) {
            let Some(entry) = self.selectors.get(selector) else { continue };
            self.dirty.peers.extend(entry.programs.iter().map(|&program| (program, address)));
            if entry.shared.is_some() {
                self.place_member(selector, address);
            }
        }
        for (program, address) in std::mem::take(&mut self.dirty.peers) {
            self.place_peer(program, address);
        }
    }

    fn decide_sharing(&mut self, id: SelectorId) {
        let costs = self.config.costs;
        let Some(entry) = self.selectors.get_mut(id) else { return };
        let programs = entry.programs.len();
        let shared = programs >= costs.shared_programs
            && entry.members.len() * programs as u64 >= costs.shared_elements;
        if shared == entry.shared.is_some() {
            return;
        }
        let key = entry.key.clone();
        let sets = shared.then(|| AddressFamily::BOTH.map(|family| shared_set(&key, family)));
        entry.shared = sets.clone().map(|sets| sets.map(|(name, _)| name));
        let (programs, members) = (entry.programs.clone(), entry.members.clone());
        match sets {
            Some(sets) => {
                for (name, spec) in sets {
                    self.desired.add_set(FAMILY, &name, &spec);
                    // One that waited to be removed has not been kept up to date.
                    self.desired.replace_elements(FAMILY, &name, BTreeMap::new());
                }
            }
            None => self.retired.push(super::Retired::Shared(key)),
        }
        for address in members.iter().flat_map(|pod| self.addresses_of(pod)).collect::<Vec<_>>() {
            self.dirty.members.insert((id, address));
        }
        self.dirty.programs.extend(programs);
    }

    /// Addresses of a pod of the index.
    pub(super) fn addresses_of(&self, pod: u32) -> impl Iterator<Item = IpAddr> + use<> {
        let key = self.pods.get(pod as usize).map(|pod| pod.key);
        key.map(|key| self.owned_addresses(key)).unwrap_or_default().into_iter()
    }

    fn place_member(&mut self, selector: SelectorId, address: IpAddr) {
        let Some(names) = self.selectors.get(selector).and_then(|entry| entry.shared.as_ref()) else {
            return;
        };
        let name = names[AddressFamily::of(address) as usize].clone();
        if self.is_member(selector, address) {
            self.desired.put_element(FAMILY, &name, Key::address(address), None);
        } else {
            self.desired.remove_element(FAMILY, &name, &Key::address(address));
        }
    }

    fn place_peer(&mut self, id: ProgramId, address: IpAddr) {
        let Some(program) = self.programs.get(id as usize) else { return };
        if program.key.steps().is_none() {
            self.dirty.programs.insert(id);
            return;
        }
        let ports = if self.wide.contains(&id) { PortSet::none() } else { self.peer_ports(program, address) };
        let place = program.place(&ports, self.config.costs.exact_ports);
        let Some(program) = self.programs.get_mut(id as usize) else { return };
        let mut placing = Placing { desired: &mut self.desired, address, reshaped: false };
        placing.exact(program, &place);
        placing.everything(program, &place);
        placing.profile(program, &place);
        if placing.reshaped {
            self.dirty.programs.insert(id);
        }
    }
}

/// The ports that names stand for on every one of the pods.
pub(super) fn resolve(names: &PortNames, first: &PodState, others: &[&PodState]) -> PortSet {
    let mut ports = PortSet::none();
    for (protocol, name) in names {
        let named = |pod: &PodState, port: Option<u16>| {
            let same = |p: &&policy_model::object::NamedPort| p.protocol == *protocol && p.name == *name;
            let matching = pod.ports.iter().filter(same).map(|p| p.port);
            matching.filter(|p| port.is_none_or(|port| port == *p)).collect::<Vec<_>>()
        };
        for port in named(first, None) {
            if others.iter().all(|pod| !named(pod, Some(port)).is_empty()) {
                ports = ports.union(&PortSet::single(*protocol, port));
            }
        }
    }
    ports
}

/// Moves one peer address of one program to its place.
struct Placing<'a> {
    desired: &'a mut Desired,
    address: IpAddr,
    /// A set has become empty or is empty no more, or a profile has come or gone: the chains must be looked at.
    reshaped: bool,
}

impl Placing<'_> {
    fn family(&self) -> AddressFamily {
        AddressFamily::of(self.address)
    }

    /// Makes the elements of a set that begin with the address be exactly these.
    fn put(
        &mut self,
        (name, spec): &(Name, SetSpec),
        old: &[Key],
        new: impl ExactSizeIterator<Item = (Key, Option<Box<Attributes>>)> + Clone,
    ) {
        if old.is_empty() && new.len() == 0 {
            return;
        }
        let was_empty = self.desired.set(FAMILY, name).is_none_or(|set| set.elements.is_empty());
        for key in old.iter().filter(|key| !new.clone().any(|(k, _)| k == **key)) {
            self.desired.remove_element(FAMILY, name, key);
        }
        if was_empty && new.len() > 0 {
            self.desired.add_set(FAMILY, name, spec);
        }
        let now_empty =
            new.len() == 0 && { self.desired.set(FAMILY, name).is_none_or(|set| set.elements.is_empty()) };
        for (key, value) in new {
            self.desired.put_element(FAMILY, name, key, value);
        }
        self.reshaped |= was_empty != now_empty;
    }

    fn exact(&mut self, program: &Program, place: &Place) {
        let set = &program.peer_sets(self.family()).exact;
        let (address, first) = (self.address, exact_key(self.address, Protocol::Tcp, 0));
        let old: SmallVec<[Key; 4]> =
            self.desired.set(FAMILY, &set.0).map_or_else(SmallVec::new, |existing| {
                let from_address = existing.elements.range(first..).map(|(key, _)| key);
                let ours =
                    |key: &&Key| key.first_address(AddressFamily::of(address).data_type()) == Some(address);
                from_address.take_while(ours).cloned().collect()
            });
        let ports: &[(Protocol, u16)] = match place {
            Place::Exact(ports) => ports,
            _ => &[],
        };
        self.put(set, &old, ports.iter().map(|&(protocol, port)| (exact_key(address, protocol, port), None)));
    }

    fn everything(&mut self, program: &Program, place: &Place) {
        let set = &program.peer_sets(self.family()).everything;
        let key = Key::address(self.address);
        let there = self.desired.set(FAMILY, &set.0).is_some_and(|s| s.elements.contains_key(&key));
        let old: &[Key] = if there { std::slice::from_ref(&key) } else { &[] };
        let new: &[Key] = if *place == Place::Everything { std::slice::from_ref(&key) } else { &[] };
        self.put(set, old, new.iter().map(|key| (key.clone(), None)));
    }

    fn profile(&mut self, program: &mut Program, place: &Place) {
        let family = self.family();
        let new = match place {
            Place::Profile(ports) => Some(ports.clone()),
            _ => None,
        };
        let old = program.profiled.get(&self.address).cloned();
        if old == new {
            return;
        }
        let counts = &mut program.profiles[family as usize];
        if let Some(ports) = &new {
            let count = counts.entry(ports.clone()).or_insert(0);
            self.reshaped |= *count == 0;
            *count += 1;
        }
        if let Some(ports) = &old
            && let Some(count) = counts.get_mut(ports)
        {
            *count -= 1;
            if *count == 0 {
                counts.remove(ports);
                self.reshaped = true;
            }
        }
        match &new {
            Some(ports) => program.profiled.insert(self.address, ports.clone()),
            None => program.profiled.remove(&self.address),
        };
        let key = Key::address(self.address);
        for orientation in Orientation::BOTH {
            let element = new.as_ref().map(|ports| {
                let verdict = Verdict::Goto(program.profile_chain(ports, family, orientation));
                (key.clone(), Some(Box::new(Attributes { verdict: Some(verdict), ..Attributes::default() })))
            });
            let old: &[Key] = if old.is_some() { std::slice::from_ref(&key) } else { &[] };
            let map = &program.peer_sets(family).profiles[orientation as usize];
            self.put(map, old, element.iter().cloned());
        }
    }
}
