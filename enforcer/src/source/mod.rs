//! Where objects of the cluster come from: each source yields the same changes.

pub mod cri;
mod intern;
pub mod kube;
pub mod manifests;
