//! Programs come with their first use and go one revision after their last.

use super::{Compiler, Retired};
use crate::{
    decision::{Cell, CellPeer, CellVerdict, Decision},
    index::{PodRow, Scope, SelectorId, SelectorKey},
    program::{
        FAMILY, PeerPorts, PeerSets, PortNames, Program, ProgramId, ProgramKey, Shared, chains, denial,
    },
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use policy_model::{portset::PortSet, reach::Reach, selector::Selector};
use roaring::RoaringBitmap;
use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

impl Compiler {
    /// One use more of the program for a key, which is made if it is not there.
    pub(super) fn acquire(&mut self, key: ProgramKey) -> ProgramId {
        let id = self.program_ids.get(&key).copied().unwrap_or_else(|| self.make_program(key));
        self.hold(id);
        id
    }

    pub(super) fn hold(&mut self, id: ProgramId) {
        if let Some(program) = self.programs.get_mut(id as usize) {
            program.uses += 1;
        }
    }

    pub(super) fn release(&mut self, id: ProgramId) {
        let Some(program) = self.programs.get_mut(id as usize) else { return };
        program.uses -= 1;
        if program.uses == 0 {
            self.idle.insert(id);
        }
    }

    fn make_program(&mut self, key: ProgramKey) -> ProgramId {
        let key = Arc::new(key);
        let name = self.free_name(&key);
        let id = self.programs.insert(Program::new(key.clone(), name)) as ProgramId;
        self.program_ids.insert(key.clone(), id);
        self.dirty.programs.insert(id);
        for decision in &key.all_of {
            for cell in &decision.cells {
                self.connect(id, cell);
            }
        }
        if self.weigh_new(id) {
            self.mark_peers(id);
        }
        id
    }

    /// The name that follows from the key. Two keys with one hash can only be made on purpose; the later one then gets a
    /// longer name, so that neither meets the other's objects.
    fn free_name(&self, key: &ProgramKey) -> Arc<str> {
        let mut name = key.name();
        while self.programs.iter().any(|(_, program)| *program.name == *name) {
            name.push('0');
        }
        name.into()
    }

    /// Makes a program follow the selector of a cell; a name that counts for every pod follows all pods.
    fn connect(&mut self, id: ProgramId, cell: &Cell) {
        let (key, ports) = match &cell.peer {
            CellPeer::Pods(key) => {
                let ports =
                    PeerPorts { numbers: cell.ports.numbers.clone(), names: cell.ports.names.clone() };
                (key.clone(), ports)
            }
            CellPeer::Any | CellPeer::Block { .. } if !cell.ports.names.is_empty() => {
                let pods = Selector::everything();
                (SelectorKey { scope: Scope::Namespaces(pods.clone()), pods }, PeerPorts::default())
            }
            CellPeer::Any | CellPeer::Block { .. } => return,
        };
        let selector = self.selectors.find(&key).unwrap_or_else(|| self.make_selector(key));
        let Some(program) = self.programs.get_mut(id as usize) else { return };
        let known = program.peers.entry(selector).or_default();
        known.numbers = known.numbers.union(&ports.numbers);
        known.names.extend(ports.names);
        let Some(entry) = self.selectors.get_mut(selector) else { return };
        entry.programs.insert(id);
        self.dirty.selectors.insert(selector);
    }

    /// Every address that a program may have as a peer through selectors must be looked at: each once, however many select it.
    pub(super) fn mark_peers(&mut self, id: ProgramId) {
        let Some(program) = self.programs.get(id as usize) else { return };
        let entries = program.peers.keys().filter_map(|&selector| self.selectors.get(selector));
        let members = entries.fold(RoaringBitmap::new(), |all, entry| all | &entry.members);
        let addresses: Vec<_> = members.iter().flat_map(|pod| self.addresses_of(pod)).collect();
        self.dirty.peers.extend(addresses.into_iter().map(|address| (id, address)));
    }

    fn make_selector(&mut self, key: SelectorKey) -> SelectorId {
        let namespaces = self.namespaces.iter().map(|(&name, state)| (name, &state.labels));
        let id = self.selectors.add(key, &mut self.interner, namespaces);
        for pod_id in self.possible_members(id) {
            let Some(pod) = self.pods.get_mut(pod_id as usize) else { continue };
            let row = PodRow { namespace: pod.key.0, labels: &pod.labels };
            if self.selectors.selects(id, &row) {
                if let Err(at) = pod.selectors.binary_search(&id) {
                    pod.selectors.insert(at, id);
                }
                if let Some(entry) = self.selectors.get_mut(id) {
                    entry.members.insert(pod_id);
                }
            }
        }
        id
    }

    /// Pods among which all members of a selector are: by label or by namespace, whichever are fewer.
    fn possible_members(&self, id: SelectorId) -> RoaringBitmap {
        let scope = self.selectors.namespaces_of(id);
        let in_scope =
            || scope.iter().filter_map(|namespace| self.namespaces.get(namespace)).map(|n| &n.pods);
        let most = in_scope().map(RoaringBitmap::len).sum();
        self.selectors
            .narrowed(id, &self.postings, most)
            .unwrap_or_else(|| in_scope().fold(RoaringBitmap::new(), |all, pods| all | pods))
    }

    /// Removes programs that were without use at the last commit and still are.
    pub(super) fn remove_idle(&mut self, idle: BTreeSet<ProgramId>) {
        for id in idle {
            if self.programs.get(id as usize).is_some_and(|program| program.uses == 0) {
                self.idle.remove(&id);
                self.remove_program(id);
            }
        }
    }

    fn remove_program(&mut self, id: ProgramId) {
        let program = self.programs.remove(id as usize);
        self.program_ids.remove(&program.key);
        self.dirty.programs.remove(&id);
        self.wide.remove(&id);
        for name in &program.chains {
            self.desired.remove_chain(FAMILY, name);
        }
        for name in &program.sets {
            self.desired.remove_set(FAMILY, name);
        }
        self.desired.remove_counter(FAMILY, &program.name);
        let retired = std::mem::take(&mut self.retired);
        let (own, others) = retired.into_iter().partition(|object| match object {
            Retired::Chain(program, _) | Retired::Set(program, _) => *program == id,
            Retired::Shared(_) => false,
        });
        self.retired = others;
        for object in own {
            match object {
                Retired::Chain(_, name) => self.desired.remove_chain(FAMILY, &name),
                Retired::Set(_, name) => self.desired.remove_set(FAMILY, &name),
                Retired::Shared(_) => {}
            }
        }
        for &selector in program.peers.keys() {
            self.dirty.selectors.insert(selector);
            if let Some(entry) = self.selectors.get_mut(selector) {
                entry.programs.remove(&id);
            }
        }
    }

    /// Forgets selectors that no program has as a peer any more.
    pub(super) fn remove_unused_selectors(&mut self) {
        let touched = self.dirty.selectors.iter().copied();
        let unused = |id: &SelectorId| self.selectors.get(*id).is_some_and(|e| e.programs.is_empty());
        for id in touched.filter(unused).collect::<Vec<_>>() {
            self.dirty.selectors.remove(&id);
            if let Some(entry) = self.selectors.get(id).filter(|entry| entry.shared.is_some()) {
                self.retired.push(Retired::Shared(entry.key.clone()));
            }
            for pod in self.selectors.remove(id, &mut self.interner) {
                if let Some(pod) = self.pods.get_mut(pod as usize)
                    && let Ok(at) = pod.selectors.binary_search(&id)
                {
                    pod.selectors.remove(at);
                }
            }
        }
    }

    /// Brings the chains of marked programs up to date, and the sets that only their chains need.
    pub(super) fn derive_programs(&mut self) {
        for id in std::mem::take(&mut self.dirty.programs) {
            self.resolve_program(id);
            let shared = self.shared_steps(id);
            let Some(program) = self.programs.get_mut(id as usize) else { continue };
            let objects = if self.wide.contains(&id) {
                denial(program)
            } else {
                chains(program, &shared, &self.desired)
            };

            let peer_sets = program.peer_sets.iter().flat_map(PeerSets::names);
            let filled = peer_sets
                .filter(|name| self.desired.set(FAMILY, name).is_some_and(|set| !set.elements.is_empty()));
            let sets: BTreeSet<_> = objects.sets.keys().chain(filled).cloned().collect();
            let chains: BTreeSet<_> = objects.chains.keys().cloned().collect();

            for (name, set) in objects.sets {
                self.desired.add_set(FAMILY, &name, &set.spec);
                self.desired.replace_elements(FAMILY, &name, set.elements);
            }
            self.desired.add_counter(FAMILY, &program.name);
            for (name, chain) in objects.chains {
                self.desired.put_chain(FAMILY, &name, chain);
            }
            let gone = program.chains.difference(&chains).cloned();
            self.retired.extend(gone.map(|name| Retired::Chain(id, name)));
            let gone = program.sets.difference(&sets).cloned();
            self.retired.extend(gone.map(|name| Retired::Set(id, name)));
            program.chains = chains;
            program.sets = sets;
        }
    }

    fn shared_steps(&self, id: ProgramId) -> Vec<Shared> {
        let Some(program) = self.programs.get(id as usize) else { return Vec::new() };
        if program.key.steps().is_none() {
            return Vec::new();
        }
        let mut steps: Vec<_> = program
            .peers
            .iter()
            .filter(|(_, ports)| ports.names.is_empty() && !ports.numbers.is_empty())
            .filter_map(|(&selector, ports)| {
                let sets = self.selectors.get(selector)?.shared.clone()?;
                Some(Shared { sets, ports: ports.numbers.clone() })
            })
            .collect();
        steps.sort_by(|a, b| a.sets.cmp(&b.sets));
        steps
    }

    /// A program that is not made of steps is resolved whole: all that it allows, as address ranges.
    fn resolve_program(&mut self, id: ProgramId) {
        let Some(program) = self.programs.get(id as usize) else { return };
        if program.key.steps().is_some() {
            return;
        }
        let reaches = program.key.all_of.iter().map(|decision| self.reach_of(decision));
        let reach = reaches.reduce(|a, b| a.intersection(&b)).unwrap_or_default();
        if let Some(program) = self.programs.get_mut(id as usize) {
            program.blocks = reach;
        }
    }

    /// The first cell that speaks of a packet decides; what no cell speaks of is denied.
    fn reach_of(&self, decision: &Decision) -> Reach {
        let mut cells: Vec<_> = decision.cells.iter().collect();
        cells.sort_by_key(|cell| cell.precedence);
        let (mut allowed, mut decided) = (Reach::none(), Reach::none());
        for cell in cells {
            let speaks_of = self.reach_of_cell(cell);
            if cell.verdict == CellVerdict::Allow {
                allowed = allowed.union(&speaks_of.difference(&decided));
            }
            decided = decided.union(&speaks_of);
        }
        allowed
    }

    fn reach_of_cell(&self, cell: &Cell) -> Reach {
        let numbers = || cell.ports.numbers.clone();
        let names = &cell.ports.names;
        match &cell.peer {
            CellPeer::Any => {
                let everywhere: [IpNet; 2] = [Ipv4Net::default().into(), Ipv6Net::default().into()];
                let blocks = everywhere.map(|net| Reach::block(net, &[], numbers()));
                blocks[0].union(&blocks[1]).union(&self.named_reach(names, |_| true))
            }
            CellPeer::Block { cidr, except } => {
                let inside = |a: IpAddr| cidr.contains(&a) && !except.iter().any(|e| e.contains(&a));
                Reach::block(*cidr, except, numbers()).union(&self.named_reach(names, inside))
            }
            CellPeer::Pods(key) => {
                let Some(id) = self.selectors.find(key) else { return Reach::none() };
                let members = self.selectors.get(id).map(|entry| entry.members.clone()).unwrap_or_default();
                let addresses: BTreeSet<_> = members.iter().flat_map(|pod| self.addresses_of(pod)).collect();
                let selected: BTreeSet<_> =
                    addresses.into_iter().filter(|a| self.is_member(id, *a)).collect();
                let by_number: Reach = selected.iter().map(|&a| (a, a, numbers())).collect();
                by_number.union(&self.named_reach(names, |a| selected.contains(&a)))
            }
        }
    }

    /// Every pod address that `of` picks, with the ports that the names stand for there.
    fn named_reach(&self, names: &PortNames, of: impl Fn(IpAddr) -> bool) -> Reach {
        if names.is_empty() {
            return Reach::none();
        }
        let addresses = self.claims.keys().copied().filter(|&address| of(address));
        addresses.map(|address| (address, address, self.names_at(names, address))).collect()
    }

    fn names_at(&self, names: &PortNames, address: IpAddr) -> PortSet {
        self.peers_at(address)
            .and_then(|pods| {
                pods.split_first().map(|(first, rest)| super::peers::resolve(names, first, rest))
            })
            .unwrap_or_default()
    }
}
