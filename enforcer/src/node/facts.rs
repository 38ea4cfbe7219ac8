//! What this host is like, read in one go, and what follows from it for the ruleset.

use super::{
    cni::Attachment,
    rtnl::{BridgeFlags, Link, LinkAddress, LinkKind, Rtnl},
    sysctl::BridgeNetfilter,
};
use ipnet::{IpNet, Ipv4Net};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

/// The bridge that Flannel's CNI plugin makes.
pub const DEFAULT_BRIDGE: &str = "cni0";
/// Flannel's VXLAN port.
const VXLAN_PORT: u16 = 8472;
/// Flannel's WireGuard ports, IPv4 and IPv6.
const WIREGUARD_PORTS: [u16; 2] = [51820, 51821];
/// Port of Flannel's `udp` backend, and the name of its device.
const UDP_BACKEND: (&str, u16) = ("flannel0", 8285);

/// One reading of the host. Equal readings mean that nothing has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Every network device.
    pub links: Vec<Link>,
    /// Every address of a device.
    pub addresses: Vec<LinkAddress>,
    /// br_netfilter's switches; `None` when it is not loaded.
    pub netfilter: Option<BridgeNetfilter>,
    /// What libcni's result files claim, in the order of their names.
    pub attachments: Vec<Attachment>,
    /// What the container runtime says of sandboxes that are ready; empty where it is not asked. Files outdo it: see
    /// [`Self::claims`].
    pub sandboxes: Vec<Attachment>,
    /// host-local's leases: address and sandbox.
    pub leased: Vec<(IpAddr, Arc<str>)>,
    /// Addresses whose lease was deleted while their network was there, until they are leased again.
    pub freed: BTreeSet<IpAddr>,
    /// This node's pod ranges by Flannel's `subnet.env`, each with the pod bridge's address.
    pub subnets: Vec<IpNet>,
}

impl Facts {
    /// Reads the host, without CNI's files.
    ///
    /// # Errors
    /// The kernel does not answer over rtnetlink.
    pub fn read() -> io::Result<Self> {
        let mut rtnl = Rtnl::open()?;
        Ok(Self {
            links: rtnl.links()?,
            addresses: rtnl.addresses()?,
            netfilter: BridgeNetfilter::read(),
            ..Self::default()
        })
    }

    /// Every claim of a pod's network that counts: those of files, and of the runtime those on a sandbox and on a veth of
    /// this host that no file names.
    #[must_use]
    pub fn claims(&self) -> Vec<&Attachment> {
        let mut claims: Vec<&Attachment> = self.attachments.iter().collect();
        if self.sandboxes.is_empty() {
            return claims;
        }
        let containers: HashSet<&str> = claims.iter().map(|claim| &*claim.container).collect();
        let bridges: HashSet<&str> = self.bridges().map(|(link, _)| link.name.as_str()).collect();
        // A bridge is named by the results of all of its pods.
        let is_veth = |(name, _): &&(String, [u8; 6])| !bridges.contains(name.as_str());
        let veths: HashSet<_> = claims.iter().flat_map(|claim| claim.host.iter().filter(is_veth)).collect();
        let is_new = |sandbox: &&Attachment| {
            let named = sandbox.host.iter().any(|device| veths.contains(device));
            !named && !containers.contains(&*sandbox.container)
        };
        claims.extend(self.sandboxes.iter().filter(is_new));
        claims
    }

    /// Addresses that are nobody's, whatever a pod's status says: given back, or leased to a sandbox whose result has not
    /// been written yet or whose veth is gone. Where no result could ever be read, leases say nothing.
    #[must_use]
    pub fn withheld(&self) -> BTreeSet<IpAddr> {
        if self.attachments.is_empty() {
            return BTreeSet::new();
        }
        let named: HashMap<&str, &Attachment> =
            self.claims().into_iter().map(|claim| (&*claim.container, claim)).collect();
        let links: HashMap<&str, &Link> = self.links.iter().map(|link| (link.name.as_str(), link)).collect();
        let is_used =
            |container: &str| named.get(container).is_some_and(|attachment| attachment.has_link(&links));
        let pending = self.leased.iter().filter(|(_, container)| !is_used(container));
        pending.map(|(address, _)| *address).chain(self.freed.iter().copied()).collect()
    }

    /// Every bridge, with its flags.
    pub fn bridges(&self) -> impl Iterator<Item = (&Link, BridgeFlags)> {
        self.links.iter().filter_map(|link| match link.kind {
            LinkKind::Bridge(flags) => Some((link, flags)),
            _ => None,
        })
    }

    /// The link of this name.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// The bridges that pods hang on: those with an address (the pods' gateway) within one of `ranges`, or in whose subnet
    /// one of `pods` lies, and [`DEFAULT_BRIDGE`] if it is there.
    #[must_use]
    pub fn pod_bridges(&self, ranges: &[IpNet], pods: &[IpAddr]) -> Vec<&Link> {
        let serves_pods = |address: &LinkAddress| {
            let subnet = IpNet::new(address.address, address.prefix);
            ranges.iter().any(|range| range.contains(&address.address))
                || subnet.is_ok_and(|subnet| pods.iter().any(|pod| subnet.contains(pod)))
        };
        let is_pod_bridge = |link: &Link| {
            let mut own = self.addresses.iter().filter(|a| a.link == link.index);
            link.name == DEFAULT_BRIDGE || own.any(serves_pods)
        };
        self.bridges().map(|(link, _)| link).filter(|link| is_pod_bridge(link)).collect()
    }

    /// The bridges that results, or the runtime, name for pods whose veths live and hang on them.
    #[must_use]
    pub fn bridges_of_results(&self) -> Vec<&Link> {
        let links: HashMap<&str, &Link> = self.links.iter().map(|link| (link.name.as_str(), link)).collect();
        let of_pod = |bridge: &Link, attachment: &Attachment| {
            let lives = |(name, mac): &(String, [u8; 6])| {
                links
                    .get(name.as_str())
                    .is_some_and(|l| l.mac == Some(*mac) && l.master == Some(bridge.index))
            };
            attachment.host.iter().any(|(name, _)| *name == bridge.name) && attachment.host.iter().any(lives)
        };
        let claims = self.claims();
        let bridges = self.bridges().map(|(link, _)| link);
        bridges.filter(|bridge| claims.iter().any(|claim| of_pod(bridge, claim))).collect()
    }

    /// IPv4 broadcast addresses of a device's subnets.
    pub fn broadcasts(&self, link: u32) -> impl Iterator<Item = Ipv4Addr> {
        self.addresses.iter().filter(move |a| a.link == link).filter_map(|a| match a.address {
            // In a /31 and a /32 there is none (RFC 3021).
            IpAddr::V4(address) if a.prefix < 31 => {
                Ipv4Net::new(address, a.prefix).ok().map(|n| n.broadcast())
            }
            _ => None,
        })
    }

    /// The host's own addresses, sorted, without loopback and link-local ones, which no pod can reach as a node's.
    #[must_use]
    pub fn own_addresses(&self) -> Vec<IpAddr> {
        let is_reachable = |address: &IpAddr| match address {
            IpAddr::V4(a) => !a.is_loopback() && !a.is_link_local(),
            IpAddr::V6(a) => !a.is_loopback() && !a.is_unicast_link_local(),
        };
        let mut own: Vec<_> = self.addresses.iter().map(|a| a.address).filter(is_reachable).collect();
        own.sort_unstable();
        own.dedup();
        own
    }

    /// UDP ports of the overlay, told by its devices: sorted, and Flannel's usual VXLAN port when there is none yet.
    #[must_use]
    pub fn overlay_ports(&self) -> Vec<u16> {
        let mut ports = Vec::new();
        for link in &self.links {
            match link.kind {
                LinkKind::Vxlan(port) => ports.push(port),
                LinkKind::WireGuard => ports.extend(WIREGUARD_PORTS),
                _ if link.name == UDP_BACKEND.0 => ports.push(UDP_BACKEND.1),
                _ => {}
            }
        }
        ports.sort_unstable();
        ports.dedup();
        if ports.is_empty() {
            ports.push(VXLAN_PORT);
        }
        ports
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_model::object::ObjectKey;

    fn facts(links: &[(&str, LinkKind)], addresses: &[(u32, &str)]) -> Facts {
        let links = links.iter().zip(1..).map(|((name, kind), index)| Link {
            index,
            name: (*name).into(),
            mac: None,
            master: None,
            kind: kind.clone(),
        });
        let addresses = addresses.iter().map(|(link, text)| {
            let net: IpNet = text.parse().unwrap();
            LinkAddress { link: *link, address: net.addr(), prefix: net.prefix_len() }
        });
        Facts { links: links.collect(), addresses: addresses.collect(), ..Facts::default() }
    }

    const BRIDGE: LinkKind = LinkKind::Bridge(BridgeFlags::ON);

    fn bridge_names(facts: &Facts, ranges: &[&str], pods: &[&str]) -> Vec<String> {
        let ranges: Vec<IpNet> = ranges.iter().map(|r| r.parse().unwrap()).collect();
        let pods: Vec<IpAddr> = pods.iter().map(|p| p.parse().unwrap()).collect();
        facts.pod_bridges(&ranges, &pods).iter().map(|l| l.name.clone()).collect()
    }

    #[test]
    fn a_pod_bridge_is_known_by_its_range_by_its_pods_or_by_its_name() {
        let links =
            [("cni0", BRIDGE), ("kube-bridge", BRIDGE), ("docker0", BRIDGE), ("eth0", LinkKind::WireGuard)];
        let facts = facts(&links, &[(2, "10.1.0.1/24"), (3, "172.17.0.1/16"), (4, "10.1.0.9/24")]);
        assert_eq!(bridge_names(&facts, &[], &[]), ["cni0"], "by name");
        assert_eq!(
            bridge_names(&facts, &["10.1.0.0/24"], &[]),
            ["cni0", "kube-bridge"],
            "by range, no other link"
        );
        assert_eq!(
            bridge_names(&facts, &[], &["10.1.0.77"]),
            ["cni0", "kube-bridge"],
            "by a pod in its subnet"
        );
    }

    #[test]
    fn overlay_ports_come_from_the_devices() {
        assert_eq!(
            facts(&[("eth0", LinkKind::Other(String::new()))], &[]).overlay_ports(),
            [8472],
            "none yet"
        );
        let all = [
            ("flannel.1", LinkKind::Vxlan(4789)),
            ("flannel-wg", LinkKind::WireGuard),
            ("flannel0", LinkKind::Other("tun".into())),
        ];
        assert_eq!(facts(&all, &[]).overlay_ports(), [4789, 8285, 51820, 51821]);
    }

    #[test]
    fn own_addresses_leave_out_what_no_pod_can_reach() {
        let facts = facts(
            &[("lo", LinkKind::WireGuard)],
            &[(1, "127.0.0.1/8"), (1, "::1/128"), (1, "fe80::1/64"), (1, "10.0.0.5/24")],
        );
        assert_eq!(facts.own_addresses(), ["10.0.0.5".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn broadcasts_are_of_ipv4_subnets_that_have_one() {
        let facts =
            facts(&[("cni0", BRIDGE)], &[(1, "10.244.1.1/24"), (1, "10.0.0.1/31"), (1, "fd00::1/64")]);
        assert_eq!(facts.broadcasts(1).collect::<Vec<_>>(), [Ipv4Addr::new(10, 244, 1, 255)]);
    }

    fn claim(container: &str, pod: &str, veth: (&str, u8)) -> Attachment {
        Attachment {
            container: container.into(),
            pod: ObjectKey::new("shop", pod),
            mac: [2, 0, 0, 0, 1, veth.1],
            addresses: vec!["10.244.1.2".parse().unwrap()],
            host: vec![("cni0".into(), [9; 6]), (veth.0.into(), [2, 0, 0, 0, 0, veth.1])],
        }
    }

    #[test]
    fn the_runtime_tells_only_what_no_file_does() {
        let mut facts = facts(&[("cni0", BRIDGE)], &[]);
        facts.sandboxes = vec![
            claim("c1", "liar", ("veth3", 3)),
            claim("c2", "liar", ("veth1", 1)),
            claim("c4", "wiped", ("veth4", 4)),
        ];
        let claims = |facts: &Facts| -> Vec<String> {
            facts.claims().iter().map(|claim| format!("{} {}", claim.container, claim.pod.name)).collect()
        };
        assert_eq!(claims(&facts), ["c1 liar", "c2 liar", "c4 wiped"], "no file at all");
        facts.attachments = vec![claim("c1", "a", ("veth1", 1))];
        assert_eq!(claims(&facts), ["c1 a", "c4 wiped"], "neither a file's sandbox nor its veth");
        // A file of another life may name a device that is another now.
        facts.attachments = vec![claim("c1", "a", ("veth4", 1))];
        assert_eq!(claims(&facts), ["c1 a", "c2 liar", "c4 wiped"]);
    }

    #[test]
    fn a_lease_is_not_withheld_from_a_sandbox_that_the_runtime_names_and_whose_veth_lives() {
        let own: IpAddr = "10.244.1.2".parse().unwrap();
        let mut facts = facts(&[("cni0", BRIDGE), ("veth4", LinkKind::Other("veth".into()))], &[]);
        facts.links[1].mac = Some([2, 0, 0, 0, 0, 4]);
        facts.attachments = vec![claim("c1", "other", ("veth1", 1))];
        facts.leased = vec![(own, "c4".into())];
        assert_eq!(facts.withheld(), [own].into(), "its result is missing");
        facts.sandboxes = vec![claim("c4", "wiped", ("veth4", 4))];
        assert_eq!(facts.withheld(), BTreeSet::new());
        facts.freed = [own].into();
        assert_eq!(facts.withheld(), [own].into(), "given back: whatever the runtime says");
        facts.freed.clear();
        facts.links.pop();
        assert_eq!(facts.withheld(), [own].into(), "its veth has gone");
        facts.attachments.clear();
        assert_eq!(facts.withheld(), BTreeSet::new(), "nobody writes results here: leases say nothing");
    }
}
