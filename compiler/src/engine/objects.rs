//! Events: each changes the state and marks what depends on it.

use super::{Compiler, NamespaceState, PodKey, PodState, PolicyState};
use crate::{
    config::Listed,
    index::{PodRow, Symbol, Tests},
};
use policy_model::{
    cluster::Change,
    labels::Labels,
    object::{NAMESPACE_NAME_LABEL, Namespace, Node, ObjectKey, Pod},
    policy::{Direction, NetworkPolicy},
};
use roaring::RoaringBitmap;
use smallvec::SmallVec;
use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

impl Compiler {
    pub(super) fn apply_change(&mut self, change: Change) {
        match change {
            Change::Pod(pod) if pod.is_policed() => self.pod_applied(pod),
            Change::Pod(pod) => self.pod_deleted(&pod.key),
            Change::PodDeleted(key) => self.pod_deleted(&key),
            Change::Namespace(namespace) => self.namespace_applied(&namespace),
            Change::NamespaceDeleted(name) => self.namespace_deleted(&name),
            Change::Policy(policy) => self.policy_applied(policy),
            Change::PolicyDeleted(key) => self.policy_deleted(&key),
            Change::Node(node) => self.node_applied(node),
            Change::NodeDeleted(name) => {
                self.dirty.nodes |= self.nodes.remove(&name).is_some();
            }
            // Policy is about what a Service leads to, never about the Service.
            Change::Service(_) | Change::ServiceDeleted(_) => {}
        }
    }

    fn node_applied(&mut self, node: Node) {
        if self.nodes.get(&node.name) != Some(&node) {
            self.nodes.insert(node.name.clone(), node);
            self.dirty.nodes = true;
        }
    }

    fn pod_applied(&mut self, pod: Pod) {
        let namespace = self.interner.intern(&pod.key.namespace);
        let name = self.interner.intern(&pod.key.name);
        let key = (namespace, name);
        let labels = self.interner.intern_labels(&pod.labels);
        let local = pod.node.as_deref() == Some(&*self.config.node);
        let owned_before = self.owned_addresses(key);
        let id = if let Some(&id) = self.pod_ids.get(&key) {
            self.interner.release(namespace);
            self.interner.release(name);
            id
        } else {
            let id = self.pods.insert(PodState {
                key,
                labels: [].into(),
                ips: SmallVec::new(),
                local: false,
                ports: [].into(),
                selectors: Vec::new(),
            }) as u32;
            self.pod_ids.insert(key, id);
            self.mark_local(key);
            self.namespace_mut(namespace, &pod.key.namespace).pods.insert(id);
            id
        };
        let row = PodRow { namespace, labels: &labels };
        let selectors = self.selectors.matching(&row);
        let Some(state) = self.pods.get_mut(id as usize) else { return };
        let ports: Box<[_]> = pod.ports.into();
        let resolves_anew = state.ports != ports;
        // Nothing is decided for a pod of another node; addresses that it shares with one of this are looked at in every commit.
        let is_here = state.local || local || self.interfaces_of.contains_key(&key);
        if is_here && (resolves_anew || state.labels != labels || state.local != local) {
            self.dirty.locals.entry(key).or_default();
        }
        if state.labels != labels {
            self.postings.remove(id, &state.labels);
            self.postings.insert(id, &labels);
        }
        let old_labels = std::mem::replace(&mut state.labels, labels);
        state.local = local;
        state.ips = pod.ips;
        state.ports = ports;
        let before = std::mem::replace(&mut state.selectors, selectors.clone());
        self.interner.release_labels(&old_labels);

        self.claims_changed(key, &owned_before);
        let addresses = self.owned_addresses(key);
        for &selector in before.iter().filter(|s| selectors.binary_search(s).is_err()) {
            self.membership_changed(selector, id, false, &owned_before);
            self.membership_changed(selector, id, false, &addresses);
        }
        for &selector in selectors.iter().filter(|s| before.binary_search(s).is_err()) {
            self.membership_changed(selector, id, true, &addresses);
        }
        if resolves_anew {
            for &address in &addresses {
                self.mark_peer(address);
            }
        }
    }

    fn pod_deleted(&mut self, key: &ObjectKey) {
        let Some(key) = self.find_key(key) else { return };
        let Some(&id) = self.pod_ids.get(&key) else { return };
        let owned_before = self.owned_addresses(key);
        // Marked while the selectors still know the pod.
        for &address in &owned_before {
            self.mark_peer(address);
        }
        let Some(pod) = self.pods.try_remove(id as usize) else { return };
        self.pod_ids.remove(&key);
        for &selector in &pod.selectors {
            if let Some(entry) = self.selectors.get_mut(selector) {
                entry.members.remove(id);
            }
            self.dirty.selectors.insert(selector);
        }
        self.claims_changed(key, &owned_before);
        self.mark_local(key);
        if let Some(namespace) = self.namespaces.get_mut(&key.0) {
            namespace.pods.remove(id);
        }
        self.postings.remove(id, &pod.labels);
        self.interner.release_labels(&pod.labels);
        self.drop_namespace_if_unused(key.0);
        self.gone.push(key);
    }

    /// A pod has come to be selected by a selector in use, or is no longer.
    fn membership_changed(&mut self, selector: u32, id: u32, member: bool, addresses: &[IpAddr]) {
        let Some(entry) = self.selectors.get_mut(selector) else { return };
        if member {
            entry.members.insert(id);
        } else {
            entry.members.remove(id);
        }
        self.dirty.selectors.insert(selector);
        for &address in addresses {
            self.dirty.members.insert((selector, address));
        }
    }

    /// Brings the claims of a pod's addresses up to date and marks whoever is concerned.
    pub(super) fn claims_changed(&mut self, key: PodKey, before: &[IpAddr]) {
        let now = self.owned_addresses(key);
        for &address in before.iter().filter(|a| !now.contains(a)) {
            self.mark_peer(address);
            if let Some(claimants) = self.claims.get_mut(&address) {
                claimants.retain(|other| *other != key);
                match claimants.len() {
                    0 => drop(self.claims.remove(&address)),
                    1 => drop(self.claimed_twice.remove(&address)),
                    _ => {}
                }
            }
            self.mark_peer(address);
            self.dirty.addresses.insert(address);
        }
        for &address in now.iter().filter(|a| !before.contains(a)) {
            self.mark_peer(address);
            let claimants = self.claims.entry(address).or_default();
            claimants.push(key);
            claimants.sort_unstable();
            if claimants.len() > 1 {
                self.claimed_twice.insert(address);
            }
            self.mark_peer(address);
            self.dirty.addresses.insert(address);
        }
        if *before != *now {
            self.mark_local(key);
        }
    }

    /// Every program that knows one of the address's claimants as a peer must look at the address again.
    fn mark_peer(&mut self, address: IpAddr) {
        let claimants = self.claims.get(&address).into_iter().flatten();
        let pods = claimants.filter_map(|key| self.pods.get(*self.pod_ids.get(key)? as usize));
        for selector in pods.flat_map(|pod| pod.selectors.iter().copied()) {
            self.dirty.members.insert((selector, address));
        }
    }

    pub(super) fn find_key(&self, key: &ObjectKey) -> Option<PodKey> {
        Some((self.interner.find(&key.namespace)?, self.interner.find(&key.name)?))
    }

    /// The state of a namespace, made undefined if it is not known: it then has the one label that the API server sets.
    fn namespace_mut(&mut self, name: Symbol, string: &Arc<str>) -> &mut NamespaceState {
        if !self.namespaces.contains_key(&name) {
            let labels = Labels::from_iter([(NAMESPACE_NAME_LABEL, string.clone())]);
            self.set_namespace(string, &labels, false);
        }
        self.namespaces.entry(name).or_insert_with(|| NamespaceState {
            labels: [].into(),
            defined: false,
            pods: RoaringBitmap::new(),
            policies: BTreeSet::new(),
            listed: Listed::default(),
        })
    }

    fn namespace_applied(&mut self, namespace: &Namespace) {
        self.set_namespace(&namespace.name, &namespace.labels, true);
    }

    fn namespace_deleted(&mut self, name: &Arc<str>) {
        let Some(symbol) = self.interner.find(name) else { return };
        if self.namespaces.get(&symbol).is_some_and(|n| n.defined) {
            let labels = Labels::from_iter([(NAMESPACE_NAME_LABEL, name.clone())]);
            self.set_namespace(name, &labels, false);
            self.drop_namespace_if_unused(symbol);
        }
    }

    fn set_namespace(&mut self, name: &Arc<str>, labels: &Labels, defined: bool) {
        let labels = self.interner.intern_labels(labels);
        let known = self.interner.find(name).filter(|symbol| self.namespaces.contains_key(symbol));
        let symbol = known.unwrap_or_else(|| self.interner.intern(name));
        let state = self.namespaces.entry(symbol).or_insert_with(|| NamespaceState {
            labels: [].into(),
            defined,
            pods: RoaringBitmap::new(),
            policies: BTreeSet::new(),
            listed: Listed::default(),
        });
        state.defined = defined;
        let old = std::mem::replace(&mut state.labels, labels);
        let pods = state.pods.clone();
        self.interner.release_labels(&old);
        let labels = self.namespaces.get(&symbol).map(|n| &n.labels);
        let touched = self.selectors.namespace_changed(symbol, labels);
        for selector in touched {
            for id in &pods {
                self.check_membership(selector, id);
            }
        }
    }

    fn drop_namespace_if_unused(&mut self, symbol: Symbol) {
        let unused = |n: &NamespaceState| !n.defined && n.pods.is_empty() && n.policies.is_empty();
        if self.namespaces.get(&symbol).is_some_and(unused)
            && let Some(gone) = self.namespaces.remove(&symbol)
        {
            self.selectors.namespace_changed(symbol, None);
            self.interner.release_labels(&gone.labels);
            self.interner.release(symbol);
        }
    }

    /// Looks whether a selector selects a pod, where only the namespace may have changed.
    fn check_membership(&mut self, selector: u32, id: u32) {
        let Some(pod) = self.pods.get_mut(id as usize) else { return };
        let row = PodRow { namespace: pod.key.0, labels: &pod.labels };
        let selected = self.selectors.selects(selector, &row);
        match (pod.selectors.binary_search(&selector), selected) {
            (Ok(at), false) => {
                pod.selectors.remove(at);
            }
            (Err(at), true) => pod.selectors.insert(at, selector),
            _ => return,
        }
        let key = pod.key;
        let addresses = self.owned_addresses(key);
        self.membership_changed(selector, id, selected, &addresses);
    }

    fn policy_applied(&mut self, policy: NetworkPolicy) {
        if self.policy_ids.get(&policy.key).is_some_and(|&id| *self.policies[id as usize].policy == policy) {
            return;
        }
        self.policy_deleted(&policy.key.clone());
        let namespace = self.interner.intern(&policy.key.namespace);
        let subject = Tests::new(&policy.pod_selector, &mut self.interner);
        let id = self.policies.vacant_key() as u32;
        self.subjects.insert(Some(namespace), &subject, id);
        self.policy_ids.insert(policy.key.clone(), id);
        let listed = Direction::BOTH.map(|direction| Listed::by(&policy, direction));
        let state = self.namespace_mut(namespace, &policy.key.namespace);
        state.policies.insert(id);
        listed.iter().for_each(|one| state.listed += *one);
        self.policies.insert(PolicyState { policy: Arc::new(policy), namespace, subject, listed });
        self.mark_subjects(id);
    }

    fn policy_deleted(&mut self, key: &ObjectKey) {
        let Some(id) = self.policy_ids.remove(key) else { return };
        self.mark_subjects(id);
        let state = self.policies.remove(id as usize);
        self.subjects.remove(Some(state.namespace), &state.subject, id);
        state.subject.release(&mut self.interner);
        if let Some(namespace) = self.namespaces.get_mut(&state.namespace) {
            namespace.policies.remove(&id);
            state.listed.iter().for_each(|one| namespace.listed -= *one);
        }
        self.drop_namespace_if_unused(state.namespace);
        self.interner.release(state.namespace);
    }

    /// Local pods that a policy selects must be decided anew. A pod that the host has found and the API has not named is
    /// selected by every policy of its namespace.
    fn mark_subjects(&mut self, id: u32) {
        let Some(policy) = self.policies.get(id as usize) else { return };
        let of_namespace = (policy.namespace, Symbol::MIN)..=(policy.namespace, Symbol::MAX);
        let selected = self.locals.range(of_namespace).map(|(&key, _)| key).filter(|key| {
            let pod = self.pod_ids.get(key).and_then(|&id| self.pods.get(id as usize));
            pod.is_none_or(|pod| policy.subject.hold(&pod.labels))
        });
        for key in selected.collect::<Vec<_>>() {
            self.mark_local(key);
        }
    }
}
