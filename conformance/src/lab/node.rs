//! A node: its bridge, its overlay, its address book.

use super::{LabError, Netns, addresses, flannel, netns::HOST, random, shell};
use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A node of the lab.
#[derive(Debug)]
pub struct Node {
    index: u8,
    netns: Netns,
    bridge_mac: String,
    dir: PathBuf,
    addresses: Mutex<AddressBook>,
}

impl Node {
    pub(crate) fn new(index: u8, netns: Netns, dir: PathBuf) -> Result<Self, LabError> {
        Ok(Self { index, netns, bridge_mac: random::mac()?, dir, addresses: Mutex::default() })
    }

    /// Its number, counted from 1.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.index
    }

    /// Its name in the cluster: `n1`, `n2`, …
    #[must_use]
    pub fn name(&self) -> String {
        format!("n{}", self.index)
    }

    /// Its network namespace.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The MAC of `cni0`: where its pods send what is not for their own bridge.
    #[must_use]
    pub fn bridge_mac(&self) -> &str {
        &self.bridge_mac
    }

    /// Its address on the underlay.
    #[must_use]
    pub fn ipv4(&self) -> Ipv4Addr {
        addresses::node4(self.index)
    }

    /// Its address on the underlay.
    #[must_use]
    pub fn ipv6(&self) -> Ipv6Addr {
        addresses::node6(self.index)
    }

    /// Where its CNI plugins keep their files, as `/var/lib/cni`: `results/`, `networks/cbr0/`, `flannel/`.
    #[must_use]
    pub fn cni_dir(&self) -> PathBuf {
        self.dir.join("cni")
    }

    /// A folder for other files of this node (`policyd`'s state, manifests); it goes with the lab.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The node's free and taken pod addresses.
    pub(crate) fn addresses(&self) -> MutexGuard<'_, AddressBook> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What must hold before any link appears: a router whose bridge shows its frames to nftables.
    pub(crate) fn prepare(&self) -> Result<(), LabError> {
        self.netns.sysctl(&HOST)?;
        self.netns.sysctl(&[
            ("ipv4/ip_forward", "1"),
            ("ipv6/conf/all/forwarding", "1"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/default/rp_filter", "0"),
            ("bridge/bridge-nf-call-iptables", "1"),
            ("bridge/bridge-nf-call-ip6tables", "1"),
        ])
    }

    /// Makes `cni0`, the overlay, the routes, and Flannel's tables. `eth0` is there already.
    pub(crate) fn configure(&self, nodes: u8) -> Result<(), LabError> {
        let (overlay, fdb) = flannel::overlay(self.index, nodes).unwrap_or_default();
        let lines = format!(
            "link set lo up\n\
             addr add {node4}/24 dev eth0\n\
             addr add {node6}/64 dev eth0 nodad\n\
             link set eth0 up\n\
             link add cni0 address {mac} mtu 1450 type bridge\n\
             addr add {gateway4}/24 dev cni0\n\
             addr add {gateway6}/64 dev cni0 nodad\n\
             link set cni0 up\n\
             route add default via {out4}\n\
             route add ::/0 via {out6}\n\
             {overlay}",
            mac = self.bridge_mac,
            node4 = self.ipv4(),
            node6 = self.ipv6(),
            gateway4 = addresses::pod4(self.index, 1),
            gateway6 = addresses::pod6(self.index, 1),
            out4 = addresses::OUTSIDE4,
            out6 = addresses::OUTSIDE6,
        );
        shell::ip_batch_in(self.netns.name(), &lines)?;
        shell::bridge_batch_in(self.netns.name(), &fdb)?;
        self.netns.nft(&flannel::tables(self.index))
    }
}

/// host-local's memory of a node's pod range: addresses are given in turn, a freed one comes back last.
#[derive(Debug, Default)]
pub(crate) struct AddressBook {
    taken: BTreeSet<u8>,
    last: u8,
    taken6: BTreeSet<Ipv6Addr>,
}

impl AddressBook {
    /// Reserves a pair of addresses: those asked for, or the next free ones.
    pub(crate) fn reserve(
        &mut self,
        node: u8,
        ipv4: Option<Ipv4Addr>,
        ipv6: Option<Ipv6Addr>,
    ) -> Result<(Ipv4Addr, Ipv6Addr), LabError> {
        let host = match ipv4 {
            Some(asked) => {
                let host = asked.octets()[3];
                if asked != addresses::pod4(node, host) || !(2..=254).contains(&host) {
                    return Err(LabError::Invalid(format!(
                        "{asked} is no pod address of node {node}: those are {} to {}",
                        addresses::pod4(node, 2),
                        addresses::pod4(node, 254)
                    )));
                }
                host
            }
            None => (2..=254)
                .map(|i| 2 + ((self.last.max(1) - 1 + (i - 2)) % 253))
                .find(|h| !self.taken.contains(h))
                .ok_or_else(|| LabError::Invalid(format!("node {node} has no free pod address")))?,
        };
        let address6 = ipv6.unwrap_or(addresses::pod6(node, u16::from(host)));
        if self.taken.contains(&host) || self.taken6.contains(&address6) {
            return Err(LabError::Invalid(format!(
                "{} or {address6} is another pod's: delete that pod first",
                addresses::pod4(node, host)
            )));
        }
        self.taken.insert(host);
        self.taken6.insert(address6);
        self.last = host;
        Ok((addresses::pod4(node, host), address6))
    }

    /// Gives a pair back.
    pub(crate) fn release(&mut self, ipv4: Ipv4Addr, ipv6: Ipv6Addr) {
        self.taken.remove(&ipv4.octets()[3]);
        self.taken6.remove(&ipv6);
    }
}
