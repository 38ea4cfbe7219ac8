//! A cluster of network namespaces, laid out as Flannel and kube-proxy lay out a real one.
//!
//! ```text
//!   pod ── veth ── cni0 ┐                            ┌ cni0 ── veth ── pod
//!   pod ── veth ── cni0 ┤ node 1                node 2 ├ cni0 ── veth ── pod
//!            flannel.1 ═╪═ eth0 ── ul bridge ── eth0 ═╪═ flannel.1        (VXLAN, VNI 1, udp 8472)
//!         flannel-v6.1 ═╛             │               ╘═ flannel-v6.1
//!                                   out: the outside host
//! ```
//!
//! Addresses are in [`addresses`]. Everything lives in namespaces called `<lab id>-…`; the machine's own network
//! namespace gets no link, no address and no rule. A lab vanishes when it is dropped, when its process dies in any way
//! ([`ownership`]), and at the latest when the next lab starts.
//!
//! ```no_run
//! use conformance::{lab::{Lab, PodSpec}, probe::{Outcome, Probe}};
//! # fn main() -> Result<(), conformance::lab::LabError> {
//! let lab = Lab::builder("doc").nodes(2).build()?;
//! let a = lab.add_pod(PodSpec::new(1, "default", "a"))?;
//! let b = lab.add_pod(PodSpec::new(2, "default", "b"))?;
//! let reply = lab.probe(Probe::tcp(&a, b.ipv4(), 80))?;
//! assert_eq!(reply.outcome, Outcome::Allowed);
//! # Ok(()) }
//! ```

pub mod addresses;
mod announce;
mod builder;
mod cni_files;
mod error;
mod family;
mod flannel;
mod kube_proxy;
mod memory_limit;
mod netns;
mod node;
mod outside;
pub mod ownership;
mod place;
mod pod;
mod random;
mod running;
mod service;
mod services;
pub(crate) mod shell;

pub use builder::{DEFAULT_PORTS, LabBuilder};
pub use error::LabError;
pub use family::Family;
pub use memory_limit::MemoryLimit;
pub use netns::Netns;
pub use node::Node;
pub use place::Place;
pub use pod::{Pod, PodSpec};
pub(crate) use random::bytes as random_bytes;
pub use running::Lab;
pub use service::{HostPort, Service, ServicePort};
