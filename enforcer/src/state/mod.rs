//! The last state of the cluster's objects, kept on disk: a node that boots while the API server is away begins with it.
//!
//! ```text
//!   {"palisade":"objects","version":1,"node":"w1"}
//!   {"kind":"Namespace","metadata":…}          an object a line, in the API's own form
//!   …
//!   {"objects":11000,"sha256":"…"}             over everything before
//! ```
//!
//! It holds what policy sees, so also policies that are only held because their namespace's pods have not gone yet. A file
//! that is torn, changed, or of another version is said and not used: then it is as on a node that was never up.

mod file;
mod keeper;
mod objects;

pub use file::{StateError, read, write};
pub use keeper::Keeper;

use objects::Object;
use policy_model::{
    cluster::Cluster,
    object::{Namespace, Node, Pod},
    policy::NetworkPolicy,
};

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What is kept of a cluster, as it was at one time. Services are no policy's business. Taking it costs little: pods, which
/// are many, are shared.
#[derive(Clone, Debug)]
pub struct State {
    namespaces: Vec<Namespace>,
    nodes: Vec<Node>,
    policies: Vec<NetworkPolicy>,
    pods: Vec<Arc<Pod>>,
}

impl State {
    /// Of a cluster now.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Self {
        Self {
            namespaces: cluster.namespaces().cloned().collect(),
            nodes: cluster.nodes().cloned().collect(),
            policies: cluster.policies().cloned().collect(),
            pods: cluster.shared_pods().cloned().collect(),
        }
    }

    fn objects(&self) -> impl Iterator<Item = Object<'_>> {
        let namespaces = self.namespaces.iter().map(Object::Namespace);
        let nodes = self.nodes.iter().map(Object::Node);
        let policies = self.policies.iter().map(Object::Policy);
        namespaces.chain(nodes).chain(policies).chain(self.pods.iter().map(|pod| Object::Pod(pod)))
    }
}

/// The file in the state folder.
#[must_use]
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("objects.jsonl")
}

/// Removes the file, if there is one.
///
/// # Errors
/// The folder cannot be written.
pub fn forget(state_dir: &Path) -> io::Result<()> {
    match fs::remove_file(path(state_dir)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
