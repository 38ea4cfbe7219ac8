//! Random objects, clusters, changes and flows, for the property tests of every room.
//!
//! Everything is drawn from small alphabets, so that labels meet selectors, blocks meet pods and names are used twice;
//! and everything shrinks to less: fewer objects, fewer rules, fewer requirements. What is drawn is always admissible,
//! as an API server would have it, with one exception made on purpose: now and then two pods hold one address.

mod flows;
mod objects;
mod policies;
mod selectors;

pub use flows::{address, endpoint, flow};
pub use objects::{namespace, node, pod, service};
pub use policies::{ip_block, policy, policy_port, rule};
pub use selectors::{labels, selector};

use crate::{
    cluster::{Change, Cluster},
    object::ObjectKey,
};
use proptest::{collection::vec, prelude::*, sample::select};
use std::sync::Arc;

const NAMESPACES: [&str; 3] = ["east", "north", "west"];
const PODS: [&str; 4] = ["p0", "p1", "p2", "p3"];
const POLICIES: [&str; 3] = ["allow", "deny", "other"];
const SERVICES: [&str; 2] = ["api", "web"];

/// How many nodes there may be.
const NODES: u8 = 3;

/// A name of a namespace, whether it is defined or not.
pub fn namespace_name() -> impl Strategy<Value = Arc<str>> {
    select(&NAMESPACES[..]).prop_map(Arc::from)
}

/// A name of a node, whether it is defined or not.
pub fn node_name() -> impl Strategy<Value = Arc<str>> {
    (1..=NODES).prop_map(|number| Arc::from(format!("w{number}")))
}

/// A key of a pod, whether there is one or not.
pub fn pod_key() -> impl Strategy<Value = ObjectKey> {
    key(&PODS)
}

/// A key of a policy, whether there is one or not.
pub fn policy_key() -> impl Strategy<Value = ObjectKey> {
    key(&POLICIES)
}

fn key(names: &'static [&'static str]) -> impl Strategy<Value = ObjectKey> {
    (namespace_name(), select(names)).prop_map(|(namespace, name)| ObjectKey::new(namespace, name))
}

/// A whole cluster: up to three namespaces and nodes, twelve pods and nine policies, most of them there.
pub fn cluster() -> impl Strategy<Value = Cluster> {
    let namespaces = vec(namespace().prop_map(Change::Namespace), 0..4);
    let nodes = vec(node().prop_map(Change::Node), 0..4);
    let pods = vec(pod().prop_map(Change::Pod), 0..16);
    let policies = vec(policy().prop_map(Change::Policy), 0..8);
    let services = vec(service().prop_map(Change::Service), 0..2);
    (namespaces, nodes, pods, policies, services)
        .prop_map(|(a, b, c, d, e)| [a, b, c, d, e].into_iter().flatten().collect())
}

/// One change: an object applied, most often over another one of its key, or deleted, whether it is there or not.
pub fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => pod().prop_map(Change::Pod),
        3 => pod_key().prop_map(Change::PodDeleted),
        4 => policy().prop_map(Change::Policy),
        2 => policy_key().prop_map(Change::PolicyDeleted),
        2 => namespace().prop_map(Change::Namespace),
        1 => namespace_name().prop_map(Change::NamespaceDeleted),
        2 => node().prop_map(Change::Node),
        1 => node_name().prop_map(Change::NodeDeleted),
        1 => service().prop_map(Change::Service),
        1 => key(&SERVICES).prop_map(Change::ServiceDeleted),
    ]
}

/// A history of at most `most` changes.
pub fn changes(most: usize) -> impl Strategy<Value = Vec<Change>> {
    vec(change(), 0..=most)
}
