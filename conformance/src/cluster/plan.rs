//! Which addresses a cluster has. All of it is inside the cluster's own network namespaces, so that every cluster has the
//! same and two of them do not meet.

use super::Families;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    families: Families,
}

const PODS4: &str = "10.244.0.0/16";
const PODS6: &str = "fd00:244::/56";
const SERVICES4: &str = "10.96.0.0/16";
const SERVICES6: &str = "fd00:96::/112";

impl Plan {
    pub(super) fn new(families: Families) -> Self {
        Self { families }
    }

    pub(super) fn families(self) -> Families {
        self.families
    }

    /// Of a host on the network between the nodes.
    fn host(self, number: u8) -> Vec<IpAddr> {
        let ipv4 = Ipv4Addr::new(172, 30, 0, number).into();
        let ipv6 = Ipv6Addr::new(0xfd00, 0x30, 0, 0, 0, 0, 0, u16::from(number)).into();
        match self.families {
            Families::Ipv4 => vec![ipv4],
            Families::Ipv6 => vec![ipv6],
            Families::Dual => vec![ipv4, ipv6],
        }
    }

    /// The control plane's addresses, the first family first.
    pub(super) fn control_plane(self) -> Vec<IpAddr> {
        self.host(1)
    }

    /// A node's addresses. Nodes are counted from 1.
    pub(super) fn node(self, index: u8) -> Vec<IpAddr> {
        self.host(10 + index)
    }

    /// The addresses of a host beside the nodes that is none. It has two of each family, and this says which.
    pub(super) fn outside(self, which: u8) -> Vec<IpAddr> {
        self.host(200 + which)
    }

    /// Where the API server is, for every client.
    pub(super) fn server(self) -> String {
        match self.control_plane()[0] {
            IpAddr::V4(address) => format!("https://{address}:6443"),
            IpAddr::V6(address) => format!("https://[{address}]:6443"),
        }
    }

    /// Pods' ranges, with a comma between.
    pub(super) fn pods(self) -> String {
        self.ranges(PODS4, PODS6)
    }

    /// Services' ranges, with a comma between.
    pub(super) fn services(self) -> String {
        self.ranges(SERVICES4, SERVICES6)
    }

    fn ranges(self, ipv4: &str, ipv6: &str) -> String {
        match self.families {
            Families::Ipv4 => ipv4.to_owned(),
            Families::Ipv6 => ipv6.to_owned(),
            Families::Dual => format!("{ipv4},{ipv6}"),
        }
    }

    /// The addresses of the API server's own Service: the first of each range.
    pub(super) fn kubernetes_service(self) -> Vec<IpAddr> {
        self.service(1)
    }

    /// Where CoreDNS' Service is, if there is one.
    pub(super) fn dns_service(self) -> IpAddr {
        self.service(10)[0]
    }

    fn service(self, number: u8) -> Vec<IpAddr> {
        let ipv4 = Ipv4Addr::new(10, 96, 0, number).into();
        let ipv6 = Ipv6Addr::new(0xfd00, 0x96, 0, 0, 0, 0, 0, u16::from(number)).into();
        match self.families {
            Families::Ipv4 => vec![ipv4],
            Families::Ipv6 => vec![ipv6],
            Families::Dual => vec![ipv4, ipv6],
        }
    }

    /// Flannel's configuration.
    pub(super) fn flannel(self) -> String {
        let ipv6 = if self.families.has_ipv6() {
            format!("\"EnableIPv6\": true, \"IPv6Network\": \"{PODS6}\", ")
        } else {
            String::new()
        };
        let ipv4 = if self.families.has_ipv4() {
            format!("\"EnableIPv4\": true, \"Network\": \"{PODS4}\", ")
        } else {
            "\"EnableIPv4\": false, ".to_owned()
        };
        format!("{{{ipv4}{ipv6}\"Backend\": {{\"Type\": \"vxlan\"}}}}\n")
    }
}

/// Addresses with commas between.
pub(super) fn joined(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_its_own_ranges_and_dual_stack_has_ipv4_first() {
        let plan = Plan::new(Families::Dual);
        assert_eq!(joined(&plan.node(3)), "172.30.0.13,fd00:30::d");
        assert_eq!(plan.services(), "10.96.0.0/16,fd00:96::/112");
        assert_eq!(plan.server(), "https://172.30.0.1:6443");
        let plan = Plan::new(Families::Ipv6);
        assert_eq!(plan.server(), "https://[fd00:30::1]:6443");
        assert_eq!(plan.kubernetes_service(), [IpAddr::from([0xfd00, 0x96, 0, 0, 0, 0, 0, 1])]);
        let flannel: serde_json::Value = serde_json::from_str(&plan.flannel()).unwrap();
        assert_eq!(flannel["EnableIPv4"], false);
        assert_eq!(flannel["IPv6Network"], PODS6);
    }
}
