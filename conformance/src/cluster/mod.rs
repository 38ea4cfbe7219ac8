//! Real Kubernetes servers on this machine, built from their Go modules.
//!
//! [`Binaries`] builds them once into a cache outside the sources. [`ApiServer`] is the fast inner loop: etcd and a
//! kube-apiserver alone, in a network namespace of their own, ready in about four seconds. Pods that are created there with
//! a node's name and a status look to a watcher like a busy cluster, with no kubelet at all.
//!
//! Everything lives in namespaces and folders of [`lab::ownership`](crate::lab::ownership), so it goes away with its owner
//! however that ends.

mod accounts;
mod api_server;
mod binaries;
mod build;
mod certificates;
mod control_plane;
mod cyclonus;
mod dns;
pub(crate) mod engine;
mod error;
mod etcd;
mod helm;
mod images;
mod kept;
mod kubeconfig;
mod links;
mod node;
mod options;
mod plan;
mod programs;
mod room;
mod running;
mod saved;
mod server;

pub use api_server::ApiServer;
pub use binaries::Binaries;
pub use cyclonus::cyclonus;
pub use engine::KubeRouter;
pub use error::ClusterError;
pub use helm::helm;
pub use images::agnhost_image;
pub use kept::Kept;
pub use kubeconfig::Identity;
pub use node::ClusterNode;
pub use options::{Engine, Families, Options, ProxyMode, WORKERS};
pub(crate) use programs::{CyclonusPrograms, NetpolPrograms};
pub use running::Cluster;
