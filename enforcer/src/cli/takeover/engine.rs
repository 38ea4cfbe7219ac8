//! The engines that can be taken over from, and what each has in the kernel and on the node.

use crate::nft::leftovers::Names;
use clap::ValueEnum;

/// Another policy engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Engine {
    /// Its firewall; also the one that k3s and RKE2 have built in
    KubeRouter,
    /// Its table
    KubeNetworkPolicies,
}

impl Engine {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::KubeRouter => "kube-router",
            Self::KubeNetworkPolicies => "kube-network-policies",
        }
    }

    /// kube-router: `pkg/controllers/netpol`. Chains of `filter` with iptables, both families; since 2.6 its own tables where it
    /// is told to. KUBE-ROUTER-SERVICES and -HAIRPIN are its service proxy's, and not ours to remove. kube-network-policies:
    /// `pkg/dataplane`, one table.
    pub(super) fn names(self) -> Names {
        match self {
            Self::KubeRouter => Names {
                tables: &["kube-router-filter-ipv4", "kube-router-filter-ipv6"],
                chains: self.chains(),
            },
            Self::KubeNetworkPolicies => Names { tables: &["kube-network-policies"], chains: &[] },
        }
    }

    /// How its chains of iptables begin.
    pub(super) fn chains(self) -> &'static [&'static str] {
        match self {
            Self::KubeRouter => &[
                "KUBE-ROUTER-INPUT",
                "KUBE-ROUTER-FORWARD",
                "KUBE-ROUTER-OUTPUT",
                "KUBE-POD-FW-",
                "KUBE-NWPLCY-",
            ],
            Self::KubeNetworkPolicies => &[],
        }
    }

    /// How its sets begin; those of IPv6 have the family before the name.
    pub(super) fn sets(self) -> &'static [&'static str] {
        match self {
            Self::KubeRouter => &[
                "KUBE-SRC-",
                "KUBE-DST-",
                "inet6:KUBE-SRC-",
                "inet6:KUBE-DST-",
                "kube-router-local-pods",
                "inet6:kube-router-local-pods",
            ],
            Self::KubeNetworkPolicies => &[],
        }
    }

    /// Its process, as `/proc/<pid>/comm` has it: at most 15 bytes.
    pub(super) fn process(self) -> &'static str {
        match self {
            Self::KubeRouter => "kube-router",
            Self::KubeNetworkPolicies => "kube-network-po",
        }
    }

    /// What to do while it runs.
    pub(super) fn how_to_end(self) -> &'static str {
        match self {
            Self::KubeRouter => {
                "delete its DaemonSet (kubectl -n kube-system delete daemonset kube-router), or on k3s start every server with \
                 --disable-network-policy and restart k3s on every node; then this again"
            }
            Self::KubeNetworkPolicies => {
                "delete its DaemonSet (kubectl -n kube-system delete daemonset kube-network-policies); then this again"
            }
        }
    }
}
