//! Where objects of the cluster come from: each source yields the same changes. And the container runtime, which tells of this
//! node's pods what CNI's files do not ([`cri`]).

pub mod cri;
mod intern;
pub mod kube;
pub mod manifests;
