//! Whether policy holds on this host: what it is like, fact by fact. `policyd check` prints them, and `policyd run` looks
//! again each minute and says what has changed ([`watch`]).

mod bridging;
mod files;
mod finding;
mod kernel;
mod masquerade;
mod neighbours;
mod overlay;
mod ranges;
mod runtime;
pub mod watch;

pub use finding::{Fact, Finding, Mark};
pub use kernel::{findings as kernel_findings, is_bridge_family};
pub use neighbours::{IPVS, LEAVE_IPVS, is_ipvs};

use crate::{
    nft::{self, ChainName},
    node::{
        cni_conf::{self, CniConf},
        facts::Facts,
        rtnl::{Route, Rtnl},
        subnet::{Subnet, SubnetError},
        watch::{self as host, CniFolders},
    },
    source::cri::Watched,
};
use compiler::config::Guards;
use ipnet::IpNet;
use std::{io, net::IpAddr, path::PathBuf};

/// What to do where `CAP_NET_ADMIN` is missing.
pub const GIVE_CAPABILITY: &str = "run policyd as root, or give its container the capability NET_ADMIN";
/// What to do where the kernel lacks nf_tables.
pub const GIVE_NF_TABLES: &str = "load the kernel modules nf_tables, nft_ct, nft_log and nft_limit (modprobe nf_tables), or use a kernel that has them";
/// What to do where `br_netfilter` is missing.
pub const GIVE_BR_NETFILTER: &str = "run `modprobe br_netfilter` on the host, and name it in /etc/modules-load.d/ so that it is there after a reboot";

/// What the operator has set; the rest is found.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `--pod-interface`.
    pub pod_interfaces: Vec<String>,
    /// `--overlay-port`.
    pub overlay_ports: Vec<u16>,
    /// Where CNI and Flannel keep their files.
    pub folders: CniFolders,
    /// Where container runtimes look for CNI's configuration.
    pub conf_dirs: Vec<PathBuf>,
    /// Which guards are on.
    pub guards: Guards,
    /// The container runtime, if it is asked.
    pub runtime: Option<Watched>,
}

/// All that the findings follow from, read once.
#[derive(Debug)]
pub struct Host {
    settings: Settings,
    facts: Facts,
    /// Names of the pod bridges that are there.
    bridges: Vec<String>,
    /// Overlay ports that are set, else read from the devices.
    overlay_ports: Vec<u16>,
    subnet: Result<Option<Subnet>, SubnetError>,
    confs: Vec<CniConf>,
    routes: Vec<Route>,
    /// Chains of everybody; `None`: they cannot be listed.
    chains: Option<Vec<ChainName>>,
    /// Chains with a rule that masquerades.
    masquerades: Option<Vec<ChainName>>,
    /// The Node object's ranges; `None`: nobody was asked.
    spec: Option<Vec<IpNet>>,
}

impl Host {
    /// Reads the host. `spec`: `spec.podCIDRs` of its Node object, if that is known.
    ///
    /// # Errors
    /// The kernel does not answer over rtnetlink.
    pub fn read(settings: Settings, spec: Option<Vec<IpNet>>) -> io::Result<Self> {
        let mut facts = host::read_once(&settings.folders)?;
        facts.sandboxes = settings.runtime.as_ref().map(Watched::claims).unwrap_or_default();
        let subnet = Subnet::read(&settings.folders.subnet_file);
        let own = subnet.as_ref().ok().and_then(Option::as_ref).map(|subnet| subnet.own.clone());
        let ranges: Vec<IpNet> = spec.iter().flatten().copied().chain(own.unwrap_or_default()).collect();
        let bridges = if settings.pod_interfaces.is_empty() {
            facts.pod_bridges(&ranges, &pod_addresses(&facts)).iter().map(|link| link.name.clone()).collect()
        } else {
            settings.pod_interfaces.iter().filter(|name| facts.link(name).is_some()).cloned().collect()
        };
        let overlay_ports = if settings.overlay_ports.is_empty() {
            facts.overlay_ports()
        } else {
            settings.overlay_ports.clone()
        };
        Ok(Self {
            bridges,
            overlay_ports,
            subnet,
            confs: cni_conf::find(&settings.conf_dirs),
            routes: Rtnl::open()?.routes()?,
            chains: nft::chains().ok(),
            masquerades: nft::masquerades().ok(),
            facts,
            settings,
            spec,
        })
    }

    /// What can change while policyd runs, in the order in which it is printed.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = vec![
            bridging::bridged_traffic(self),
            bridging::pod_bridge(self),
            ranges::pod_ranges(self),
            files::cni_files(self),
            neighbours::kube_proxy(&self.facts, self.chains.as_deref()),
            neighbours::second_engine(&self.facts, self.chains.as_deref()),
            masquerade::masquerade(self),
            overlay::overlay(self),
            bridging::port_guards(self),
            files::inotify(self),
        ];
        let runtime = self.settings.runtime.as_ref().and_then(Watched::state);
        findings.extend(runtime.map(|state| runtime::runtime(&state)));
        findings
    }
}

/// Addresses of pods that CNI's files know, dead or alive: they tell the pods' bridge.
fn pod_addresses(facts: &Facts) -> Vec<IpAddr> {
    facts.claims().into_iter().flat_map(|claim| claim.addresses.iter().copied()).collect()
}
