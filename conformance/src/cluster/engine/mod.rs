//! Who enforces NetworkPolicies in a cluster.

mod kube_router;
pub(crate) mod palisade;

pub use kube_router::KubeRouter;

use super::{Cluster, ClusterError, Engine, accounts::Accounts, programs::Programs};

/// Starts the engine of the cluster's options, and waits until it enforces.
pub(super) fn start(
    cluster: &mut Cluster,
    programs: &Programs,
    accounts: &Accounts,
) -> Result<(), ClusterError> {
    match (cluster.options().engine, &programs.kube_router) {
        (Engine::Palisade, _) => palisade::start(cluster),
        (Engine::KubeRouter, Some(program)) => kube_router::start(cluster, program, accounts),
        (Engine::KubeRouter, None) | (Engine::None, _) => Ok(()),
    }
}
