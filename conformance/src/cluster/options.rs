//! What a cluster is asked to be.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// How many workers a cluster may have: with one there is no overlay, and more than four only cost memory.
pub const WORKERS: RangeInclusive<u8> = 2..=4;

/// Which cluster to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Tells clusters apart that stand side by side: small letters and digits. The start of all its names.
    pub name: String,
    /// Worker nodes: see [`WORKERS`].
    pub workers: u8,
    /// Addresses of nodes, pods and Services.
    pub families: Families,
    /// How Services are done.
    pub proxy: ProxyMode,
    /// Who enforces NetworkPolicies.
    pub engine: Engine,
    /// Whether CoreDNS answers for the names of Services.
    #[serde(default)]
    pub dns: bool,
}

impl Options {
    /// Three workers, IPv4, kube-proxy with nftables, nobody who enforces, and no name service.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            workers: 3,
            families: Families::Ipv4,
            proxy: ProxyMode::Nftables,
            engine: Engine::None,
            dns: false,
        }
    }
}

/// The families of addresses that nodes, pods and Services have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Families {
    /// IPv4 alone.
    Ipv4,
    /// IPv6 alone.
    Ipv6,
    /// Both, IPv4 first.
    Dual,
}

impl Families {
    /// As on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Dual => "dual",
        }
    }

    pub(super) fn has_ipv4(self) -> bool {
        self != Self::Ipv6
    }

    pub(super) fn has_ipv6(self) -> bool {
        self != Self::Ipv4
    }
}

/// The mode of kube-proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ProxyMode {
    /// Its own tables in nf_tables.
    Nftables,
    /// Chains of iptables.
    Iptables,
}

impl ProxyMode {
    /// As kube-proxy's configuration has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
        }
    }
}

/// Who enforces NetworkPolicies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// Palisade, as users install it.
    Palisade,
    /// Nobody: policies are objects without effect. A control that must fail.
    None,
    /// kube-router's firewall. A control that must pass.
    KubeRouter,
}

impl Engine {
    /// As on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Palisade => "palisade",
            Self::None => "none",
            Self::KubeRouter => "kube-router",
        }
    }
}
