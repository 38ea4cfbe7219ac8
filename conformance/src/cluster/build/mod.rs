//! Builds other people's programs from their Go modules, once for each state of the module that says how.
//!
//! Each folder of `conformance/cluster` is a Go module of ours whose `go.mod` and `go.sum` fix every version, so that each
//! build is the same. What was built is kept in `$XDG_CACHE_HOME/palisade` or `~/.cache/palisade`, under a name with a digest
//! of those files.

mod cache;
mod compile;
mod go;
mod module;
mod recipe;

pub(super) use cache::{ensure, once};
pub(super) use recipe::{
    AGNHOST, CNI_FLANNEL, CNI_PLUGINS, COREDNS, CYCLONUS, CYCLONUS_ITSELF, FLANNELD, GINKGO, HELM,
    KUBE_ROUTER, KUBERNETES, NETPOL, PAUSE,
};
