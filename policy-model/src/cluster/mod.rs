//! The objects of a cluster, as one state that questions are asked of.

mod change;
mod reach;
mod termination;

pub use change::Change;
pub use termination::TerminationHold;

use crate::{
    labels::Labels,
    object::{Namespace, Node, ObjectKey, Pod, Service},
    policy::NetworkPolicy,
};
use smallvec::SmallVec;
use std::{borrow::Cow, collections::BTreeMap, net::IpAddr, sync::Arc};

/// A whole state of the objects that policy is about.
///
/// Two clusters are equal if they hold the same objects; how they came to that state is no part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    namespaces: BTreeMap<Arc<str>, Namespace>,
    pods: BTreeMap<ObjectKey, Arc<Pod>>,
    nodes: BTreeMap<Arc<str>, Node>,
    services: BTreeMap<ObjectKey, Service>,
    policies: BTreeMap<ObjectKey, Arc<NetworkPolicy>>,
    /// The policed pods that hold an address, ordered by key, so that an address is resolved without a walk over every pod. Nearly always it is one.
    claims: BTreeMap<IpAddr, SmallVec<[Arc<Pod>; 1]>>,
}

impl Cluster {
    /// A cluster without objects.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a change in. See [`Change`] for what each means.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Pod(pod) => self.insert_pod(pod),
            Change::PodDeleted(key) => self.remove_pod(&key),
            Change::Namespace(namespace) => self.insert_namespace(namespace),
            Change::NamespaceDeleted(name) => self.remove_namespace(&name),
            Change::Policy(policy) => self.insert_policy(policy),
            Change::PolicyDeleted(key) => self.remove_policy(&key),
            Change::Node(node) => self.insert_node(node),
            Change::NodeDeleted(name) => self.remove_node(&name),
            Change::Service(service) => self.insert_service(service),
            Change::ServiceDeleted(key) => self.remove_service(&key),
        }
    }

    /// The changes that make this state from an empty cluster, in the order of the kinds and keys.
    pub fn changes(&self) -> impl Iterator<Item = Change> + '_ {
        let namespaces = self.namespaces.values().cloned().map(Change::Namespace);
        let nodes = self.nodes.values().cloned().map(Change::Node);
        let pods = self.pods().cloned().map(Change::Pod);
        let services = self.services.values().cloned().map(Change::Service);
        let policies = self.policies().cloned().map(Change::Policy);
        namespaces.chain(nodes).chain(pods).chain(services).chain(policies)
    }

    /// Adds a pod or replaces the one of this key.
    pub fn insert_pod(&mut self, pod: Pod) {
        self.remove_pod(&pod.key);
        let pod = Arc::new(pod);
        if pod.is_policed() {
            for &address in &pod.ips {
                let claimants = self.claims.entry(address).or_default();
                // A pod may have an address twice.
                if let Err(place) = claimants.binary_search_by(|other| other.key.cmp(&pod.key)) {
                    claimants.insert(place, pod.clone());
                }
            }
        }
        self.pods.insert(pod.key.clone(), pod);
    }

    /// Takes a pod out, if it is there.
    pub fn remove_pod(&mut self, key: &ObjectKey) {
        let Some(pod) = self.pods.remove(key) else { return };
        for address in &pod.ips {
            if let Some(claimants) = self.claims.get_mut(address) {
                claimants.retain(|pod| pod.key != *key);
                if claimants.is_empty() {
                    self.claims.remove(address);
                }
            }
        }
    }

    /// Adds a namespace or replaces the one of this name.
    pub fn insert_namespace(&mut self, namespace: Namespace) {
        self.namespaces.insert(namespace.name.clone(), namespace);
    }

    /// Takes a namespace's definition out; its pods and policies stay until they are removed themselves.
    pub fn remove_namespace(&mut self, name: &str) {
        self.namespaces.remove(name);
    }

    /// Adds a node or replaces the one of this name.
    pub fn insert_node(&mut self, node: Node) {
        self.nodes.insert(node.name.clone(), node);
    }

    /// Takes a node out, if it is there.
    pub fn remove_node(&mut self, name: &str) {
        self.nodes.remove(name);
    }

    /// Adds a Service or replaces the one of this key.
    pub fn insert_service(&mut self, service: Service) {
        self.services.insert(service.key.clone(), service);
    }

    /// Takes a Service out, if it is there.
    pub fn remove_service(&mut self, key: &ObjectKey) {
        self.services.remove(key);
    }

    /// Adds a policy or replaces the one of this key.
    pub fn insert_policy(&mut self, policy: NetworkPolicy) {
        self.policies.insert(policy.key.clone(), Arc::new(policy));
    }

    /// Takes a policy out, if it is there.
    pub fn remove_policy(&mut self, key: &ObjectKey) {
        self.policies.remove(key);
    }

    /// The pod of this key.
    #[must_use]
    pub fn pod(&self, key: &ObjectKey) -> Option<&Pod> {
        self.pods.get(key).map(AsRef::as_ref)
    }

    /// The node of this name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// The Service of this key.
    #[must_use]
    pub fn service(&self, key: &ObjectKey) -> Option<&Service> {
        self.services.get(key)
    }

    /// The policy of this key.
    #[must_use]
    pub fn policy(&self, key: &ObjectKey) -> Option<&NetworkPolicy> {
        self.policies.get(key).map(AsRef::as_ref)
    }

    /// The namespace as it is defined; `None` although pods use it if nobody defines it.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.get(name)
    }

    /// The labels of a namespace. One that nobody defines has the single label that the API server would set.
    #[must_use]
    pub fn namespace_labels(&self, name: &str) -> Cow<'_, Labels> {
        match self.namespaces.get(name) {
            Some(namespace) => Cow::Borrowed(&namespace.labels),
            None => Cow::Owned(Namespace::new(name, &Labels::default()).labels),
        }
    }

    /// Every pod, ordered by key; host-network and terminal ones too.
    pub fn pods(&self) -> impl ExactSizeIterator<Item = &Pod> {
        self.pods.values().map(AsRef::as_ref)
    }

    /// The pods of one namespace, ordered by name.
    pub fn pods_in<'a>(&'a self, namespace: &'a Arc<str>) -> impl Iterator<Item = &'a Pod> {
        let first = ObjectKey { namespace: namespace.clone(), name: Arc::from("") };
        let pods = self.pods.range(first..).map(|(_, pod)| &**pod);
        pods.take_while(move |pod| pod.key.namespace == *namespace)
    }

    /// The same pods to share: whoever holds them sees them as they are now.
    pub fn shared_pods(&self) -> impl ExactSizeIterator<Item = &Arc<Pod>> {
        self.pods.values()
    }

    /// Every defined namespace, ordered by name.
    pub fn namespaces(&self) -> impl ExactSizeIterator<Item = &Namespace> {
        self.namespaces.values()
    }

    /// Every node, ordered by name.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.nodes.values()
    }

    /// Every Service, ordered by key.
    pub fn services(&self) -> impl ExactSizeIterator<Item = &Service> {
        self.services.values()
    }

    /// Every policy, ordered by key.
    pub fn policies(&self) -> impl ExactSizeIterator<Item = &NetworkPolicy> {
        self.policies.values().map(AsRef::as_ref)
    }

    /// The policies of one namespace, ordered by name.
    pub fn policies_in<'a>(&'a self, namespace: &'a Arc<str>) -> impl Iterator<Item = &'a NetworkPolicy> {
        let first = ObjectKey { namespace: namespace.clone(), name: Arc::from("") };
        let policies = self.policies.range(first..).map(|(_, policy)| &**policy);
        policies.take_while(move |policy| policy.key.namespace == *namespace)
    }

    /// The policed pods that hold an address, ordered by key. More than one is a fault of the cluster.
    pub fn claimants(&self, address: IpAddr) -> impl Iterator<Item = &Pod> {
        self.claims.get(&address).into_iter().flatten().map(AsRef::as_ref)
    }

    /// Every address that a policed pod holds, in order, each once.
    pub fn claimed_addresses(&self) -> impl ExactSizeIterator<Item = IpAddr> {
        self.claims.keys().copied()
    }

    /// Every address that a policed pod holds, in order, each once, with the pods that hold it.
    pub fn claims(&self) -> impl ExactSizeIterator<Item = (IpAddr, impl Iterator<Item = &Pod> + Clone)> {
        self.claims.iter().map(|(address, pods)| (*address, pods.iter().map(AsRef::as_ref)))
    }
}

/// From changes, taken in one after the other.
impl FromIterator<Change> for Cluster {
    fn from_iter<I: IntoIterator<Item = Change>>(changes: I) -> Self {
        let mut cluster = Self::new();
        cluster.extend(changes);
        cluster
    }
}

impl Extend<Change> for Cluster {
    fn extend<I: IntoIterator<Item = Change>>(&mut self, changes: I) {
        changes.into_iter().for_each(|change| self.apply(change));
    }
}
