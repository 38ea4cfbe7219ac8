//! What this host knows of its own pods, and how it outdoes what the API says of their addresses.
//!
//! A pod's status is last to learn of an address and last to forget it. So a pod of this node that has a living interface
//! has that interface's addresses and no others; one without has those of its status, unless another interface has them
//! or the host withholds them. What other nodes' pods claim, only their status can say.

use super::{Compiler, PodKey};
use crate::config::Port;
use smallvec::SmallVec;
use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

type Addresses = SmallVec<[IpAddr; 2]>;

impl Compiler {
    /// The addresses by which a pod is known now.
    pub(super) fn owned_addresses(&self, key: PodKey) -> Addresses {
        let interfaces = self.interfaces_of.get(&key).into_iter().flatten();
        let found = interfaces.filter_map(|id| self.interfaces.get(id)).flat_map(|port| &port.addresses);
        let mut addresses: Addresses = found.copied().collect();
        if addresses.is_empty() {
            let pod = self.pod_ids.get(&key).and_then(|&id| self.pods.get(id as usize));
            let local = pod.is_some_and(|pod| pod.local);
            addresses.extend(pod.into_iter().flat_map(|pod| pod.ips.iter().copied()));
            addresses.retain(|a| !local || !self.hosted.contains_key(a) && !self.withheld.contains(a));
        } else {
            addresses.retain(|a| !self.withheld.contains(a));
        }
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// The local pods that may own one of these addresses, each with what it owns now.
    fn owners(&self, of: &[IpAddr]) -> HashMap<PodKey, Addresses> {
        let by_status = |key: &&PodKey| {
            let pod = self.pod_ids.get(*key).and_then(|&id| self.pods.get(id as usize));
            pod.is_some_and(|pod| pod.local && pod.ips.iter().any(|a| of.contains(a)))
        };
        // Pods that have come since the last commit are marked.
        let stated = self.locals.keys().chain(self.dirty.locals.keys()).filter(by_status).copied();
        let ports = self.interfaces.values().filter(|port| port.addresses.iter().any(|a| of.contains(a)));
        let found = ports.filter_map(|port| self.find_key(&port.pod));
        stated.chain(found).map(|key| (key, self.owned_addresses(key))).collect()
    }

    fn owners_changed(&mut self, before: HashMap<PodKey, Addresses>) {
        for (key, addresses) in before {
            self.claims_changed(key, &addresses);
        }
    }

    pub(super) fn port_applied(&mut self, port: Port) {
        if self.interfaces.get(&port.id) == Some(&port) {
            return;
        }
        self.port_deleted(&port.id.clone());
        let key = (self.interner.intern(&port.pod.namespace), self.interner.intern(&port.pod.name));
        let mut before = self.owners(&port.addresses);
        before.entry(key).or_insert_with(|| self.owned_addresses(key));
        for &address in &port.addresses {
            *self.hosted.entry(address).or_default() += 1;
        }
        self.interfaces_of.entry(key).or_default().insert(port.id.clone());
        self.dirty.addresses.insert(port.link_local());
        self.interfaces.insert(port.id.clone(), port);
        self.owners_changed(before);
        self.mark_local(key);
        self.dirty.guard = true;
    }

    pub(super) fn port_deleted(&mut self, id: &Arc<str>) {
        let Some(port) = self.interfaces.get(id) else { return };
        let Some(key) = self.find_key(&port.pod) else { return };
        let mut before = self.owners(&port.addresses);
        before.entry(key).or_insert_with(|| self.owned_addresses(key));
        if let Some(port) = self.interfaces.remove(id) {
            self.dirty.addresses.insert(port.link_local());
            for address in port.addresses {
                if let Some(count) = self.hosted.get_mut(&address) {
                    *count -= 1;
                    if *count == 0 {
                        self.hosted.remove(&address);
                    }
                }
            }
        }
        if let Some(ids) = self.interfaces_of.get_mut(&key) {
            ids.remove(id);
            if ids.is_empty() {
                self.interfaces_of.remove(&key);
            }
        }
        self.owners_changed(before);
        self.mark_local(key);
        self.dirty.guard = true;
        self.gone.push(key);
    }

    pub(super) fn withhold(&mut self, addresses: BTreeSet<IpAddr>) {
        let changed: Vec<IpAddr> = self.withheld.symmetric_difference(&addresses).copied().collect();
        if changed.is_empty() {
            return;
        }
        let before = self.owners(&changed);
        self.withheld = addresses;
        self.owners_changed(before);
    }
}
