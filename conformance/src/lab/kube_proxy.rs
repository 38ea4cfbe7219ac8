//! The tables that kube-proxy's nftables mode and the portmap plugin write on a node.
//!
//! Sources: kubernetes `pkg/proxy/nftables` (names, chains, priorities, rules); containernetworking/plugins
//! `plugins/meta/portmap` (`cni_hostport`). One thing differs: the eight characters in a chain's name are a hash of our
//! own, which nothing reads.

use super::{Family, Pod, Service, addresses};
use policy_model::object::Protocol;
use std::{
    fmt::Write,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// A backend with its address, and the node it is on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: IpAddr,
    pub(crate) node: u8,
    /// Which of the Service's backends it is.
    pub(crate) backend: usize,
}

/// Both tables of kube-proxy on `node`, as text for `nft -f` that replaces them in one transaction. Each Service comes
/// with its live endpoints of both families.
pub(crate) fn tables(node: u8, services: &[(&Service, Vec<Endpoint>)]) -> String {
    Family::BOTH.iter().map(|&family| Table::new(node, family).write(services)).collect()
}

/// One family's table while it is being written.
struct Table {
    node: u8,
    family: Family,
    /// `ip` or `ip6`.
    ip: &'static str,
    /// The elements of the sets and maps, in the order of [`SETS`].
    elements: [Vec<String>; 6],
    chains: String,
}

const CLUSTER_IPS: usize = 0;
const NODEPORT_IPS: usize = 1;
const NO_ENDPOINT_SERVICES: usize = 2;
const NO_ENDPOINT_NODEPORTS: usize = 3;
const SERVICE_IPS: usize = 4;
const SERVICE_NODEPORTS: usize = 5;

/// Name, type and comment; `ADDR` stands for the family's address type.
const SETS: [(&str, &str, &str); 6] = [
    ("set cluster-ips", "ADDR", "Active ClusterIPs"),
    ("set nodeport-ips", "ADDR", "IPs that accept NodePort traffic"),
    (
        "map no-endpoint-services",
        "ADDR . inet_proto . inet_service : verdict",
        "vmap to drop or reject packets to services with no endpoints",
    ),
    (
        "map no-endpoint-nodeports",
        "inet_proto . inet_service : verdict",
        "vmap to drop or reject packets to service nodeports with no endpoints",
    ),
    (
        "map service-ips",
        "ADDR . inet_proto . inet_service : verdict",
        "ClusterIP, ExternalIP and LoadBalancer IP traffic",
    ),
    ("map service-nodeports", "inet_proto . inet_service : verdict", "NodePort traffic"),
];

/// The chains that are there whatever the Services; `IP` stands for the family.
const BASE: &str = r#"
	chain mark-for-masquerade { meta mark set meta mark or 0x4000; }
	chain masquerading {
		meta mark and 0x4000 == 0 return
		meta mark set meta mark xor 0x4000
		masquerade fully-random
	}
	chain reject-chain { comment "helper for @no-endpoint-services / @no-endpoint-nodeports"; reject; }
	chain cluster-ips-check {
		IP daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"
		IP daddr { SERVICES } drop comment "Drop traffic to unallocated ClusterIPs"
	}
	chain nodeport-endpoints-check { IP daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports; }
	chain service-endpoints-check { IP daddr . meta l4proto . th dport vmap @no-endpoint-services; }
	chain services {
		IP daddr . meta l4proto . th dport vmap @service-ips
		IP daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
	}
	chain filter-input {
		type filter hook input priority 0;
		ct state new jump nodeport-endpoints-check
		ct state new jump service-endpoints-check
	}
	chain filter-forward {
		type filter hook forward priority 0;
		ct state new jump service-endpoints-check
		ct state new jump cluster-ips-check
	}
	chain filter-output {
		type filter hook output priority 0;
		ct state new jump service-endpoints-check
		ct state new jump cluster-ips-check
	}
	chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
	chain nat-output { type nat hook output priority -100; jump services; }
	chain nat-postrouting { type nat hook postrouting priority 100; jump masquerading; }
"#;

impl Table {
    fn new(node: u8, family: Family) -> Self {
        let ip = match family {
            Family::V4 => "ip",
            Family::V6 => "ip6",
        };
        Self { node, family, ip, elements: Default::default(), chains: String::new() }
    }

    fn write(mut self, services: &[(&Service, Vec<Endpoint>)]) -> String {
        let node_ip: IpAddr = match self.family {
            Family::V4 => addresses::node4(self.node).into(),
            Family::V6 => addresses::node6(self.node).into(),
        };
        self.elements[NODEPORT_IPS].push(node_ip.to_string());
        for (service, endpoints) in services {
            let own = |a: &IpAddr| Family::of(*a) == self.family;
            let cluster_ips: Vec<IpAddr> = service.cluster_ips.iter().copied().filter(own).collect();
            let external_ips: Vec<IpAddr> = service.external_ips.iter().copied().filter(own).collect();
            let endpoints: Vec<Endpoint> = endpoints.iter().copied().filter(|e| own(&e.address)).collect();
            // A Service of one family has nothing in the other family's table.
            if !cluster_ips.is_empty() {
                self.elements[CLUSTER_IPS].extend(cluster_ips.iter().map(ToString::to_string));
                self.service(service, &cluster_ips, &external_ips, &endpoints);
            }
        }
        self.finish()
    }

    fn service(
        &mut self,
        service: &Service,
        cluster_ips: &[IpAddr],
        external_ips: &[IpAddr],
        all: &[Endpoint],
    ) {
        let local: Vec<Endpoint> = all.iter().copied().filter(|e| e.node == self.node).collect();
        for port in &service.ports {
            let protocol = protocol(port.protocol);
            let id = format!("{}/{protocol}/p{}", service.key, port.port);
            let hash = hash(&id);
            let names = (
                format!("service-{hash}-{id}"),
                format!("external-{hash}-{id}"),
                format!("local-{hash}-{id}"),
            );
            let comment = format!("comment \"{}:p{}\"", service.key, port.port);
            let external_keys = |ips: &[IpAddr]| -> Vec<String> {
                ips.iter().map(|ip| format!("{ip} . {protocol} . {}", port.port)).collect()
            };

            if all.is_empty() {
                let keys = external_keys(cluster_ips).into_iter().chain(external_keys(external_ips));
                self.elements[NO_ENDPOINT_SERVICES]
                    .extend(keys.map(|k| format!("{k} {comment} : goto reject-chain")));
                if let Some(n) = port.node_port {
                    self.elements[NO_ENDPOINT_NODEPORTS]
                        .push(format!("{protocol} . {n} {comment} : goto reject-chain"));
                }
                continue;
            }
            for key in external_keys(cluster_ips) {
                self.elements[SERVICE_IPS].push(format!("{key} : goto {}", names.0));
            }
            let targets = |endpoints: &[Endpoint]| -> Vec<SocketAddr> {
                let target = |e: &Endpoint| SocketAddr::new(e.address, service.target_port(e.backend, port));
                endpoints.iter().map(target).collect()
            };
            self.cluster_chain(&names.0, cluster_ips, port.port, protocol, &targets(all), &id);
            if external_ips.is_empty() && port.node_port.is_none() {
                continue;
            }
            for key in external_keys(external_ips) {
                self.elements[SERVICE_IPS].push(format!("{key} : goto {}", names.1));
                if service.local && local.is_empty() {
                    self.elements[NO_ENDPOINT_SERVICES].push(format!("{key} {comment} : drop"));
                }
            }
            if let Some(n) = port.node_port {
                self.elements[SERVICE_NODEPORTS].push(format!("{protocol} . {n} : goto {}", names.1));
                if service.local && local.is_empty() {
                    self.elements[NO_ENDPOINT_NODEPORTS].push(format!("{protocol} . {n} {comment} : drop"));
                }
            }
            self.external_chain(service.local, &names, !local.is_empty());
            if service.local && !local.is_empty() {
                let spread = spread(&targets(&local), protocol, &id);
                writeln!(self.chains, "\tchain {} {{ {spread}; }}", names.2).ok();
            }
        }
    }

    /// The chain of a Service port's ClusterIPs, before it the chains of its endpoints.
    fn cluster_chain(
        &mut self,
        name: &str,
        cluster_ips: &[IpAddr],
        port: u16,
        protocol: &str,
        targets: &[SocketAddr],
        id: &str,
    ) {
        let (ip, chains) = (self.ip, &mut self.chains);
        for target in targets {
            writeln!(
                chains,
                "\tchain {} {{\n\t\t{ip} saddr {} jump mark-for-masquerade\n\
                 \t\tmeta l4proto {protocol} dnat to {target}\n\t}}",
                endpoint_chain(*target, protocol, id),
                target.ip(),
            )
            .ok();
        }
        writeln!(chains, "\tchain {name} {{").ok();
        let cluster = self.family.pick(addresses::PODS4, addresses::PODS6);
        for vip in cluster_ips {
            writeln!(
                chains,
                "\t\t{ip} daddr {vip} {protocol} dport {port} {ip} saddr != {cluster} jump mark-for-masquerade"
            )
            .ok();
        }
        writeln!(chains, "\t\t{}\n\t}}", spread(targets, protocol, id)).ok();
    }

    /// The chain of a Service port's NodePort and external addresses.
    fn external_chain(
        &mut self,
        local: bool,
        (service, external, local_chain): &(String, String, String),
        here: bool,
    ) {
        let chains = &mut self.chains;
        writeln!(chains, "\tchain {external} {{").ok();
        if local {
            let (ip, cluster) = (self.ip, self.family.pick(addresses::PODS4, addresses::PODS6));
            writeln!(
                chains,
                "\t\t{ip} saddr {cluster} goto {service} comment \"short-circuit pod traffic\"\n\
                 \t\tfib saddr type local jump mark-for-masquerade comment \"masquerade local traffic\"\n\
                 \t\tfib saddr type local goto {service} comment \"short-circuit local traffic\""
            )
            .ok();
            if here {
                writeln!(chains, "\t\tgoto {local_chain}").ok();
            }
        } else {
            writeln!(chains, "\t\tjump mark-for-masquerade\n\t\tgoto {service}").ok();
        }
        writeln!(chains, "\t}}").ok();
    }

    fn finish(self) -> String {
        let ip = self.ip;
        let mut text = format!(
            "table {ip} kube-proxy\ndelete table {ip} kube-proxy\ntable {ip} kube-proxy {{\n\
             \tcomment \"rules for kube-proxy\"\n"
        );
        for ((name, of, comment), elements) in SETS.iter().zip(&self.elements) {
            let of = of.replace("ADDR", self.family.pick("ipv4_addr", "ipv6_addr"));
            let elements = match elements.is_empty() {
                true => String::new(),
                false => format!(" elements = {{ {} }};", elements.join(", ")),
            };
            writeln!(text, "\t{name} {{ type {of}; comment \"{comment}\";{elements} }}").ok();
        }
        let services = self.family.pick(addresses::SERVICES4, addresses::SERVICES6);
        let base = BASE.replace("IP daddr", &format!("{ip} daddr")).replace("SERVICES", services);
        text + &self.chains + &base + "}\n"
    }
}

/// The rule that chooses an endpoint at random.
fn spread(targets: &[SocketAddr], protocol: &str, id: &str) -> String {
    let choices: Vec<_> = targets
        .iter()
        .enumerate()
        .map(|(i, target)| format!("{i} : goto {}", endpoint_chain(*target, protocol, id)))
        .collect();
    format!("numgen random mod {} vmap {{ {} }}", choices.len(), choices.join(", "))
}

/// nft names may not hold colons.
fn endpoint_chain(target: SocketAddr, protocol: &str, id: &str) -> String {
    let (address, port) = (target.ip().to_string().replace(':', "."), target.port());
    let hash = hash(&format!("{id}/{protocol}/{address}/{port}"));
    format!("endpoint-{hash}-{id}__{address}/{port}")
}

const fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

/// Eight characters of base32 of a 64-bit FNV-1a hash.
fn hash(text: &str) -> String {
    let h = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (0..8)
        .map(|i| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(h >> (i * 5 + 20)) as usize & 31]))
        .collect()
}

/// The portmap plugin's tables for the pods of one node that have host ports, as text for `nft -f`.
pub(crate) fn host_port_tables(pods: &[Arc<Pod>]) -> String {
    let mut text = String::new();
    for family in Family::BOTH {
        let ip = family.pick("ip", "ip6");
        let (mut ports, mut hairpins) = (String::new(), String::new());
        for pod in pods.iter().filter(|p| p.families().contains(&family)) {
            let address: IpAddr = pod.address(family);
            let comment = format!("comment \"{}\"", pod.container_id());
            for port in pod.host_ports() {
                let target = std::net::SocketAddr::new(address, port.container_port);
                writeln!(
                    ports,
                    "\t\t{} dport {} dnat to {target} {comment}",
                    protocol(port.protocol),
                    port.host_port
                )
                .ok();
            }
            if !pod.host_ports().is_empty() {
                writeln!(hairpins, "\t\t{ip} saddr {address} {ip} daddr {address} masquerade {comment}").ok();
                if family == Family::V4 {
                    writeln!(hairpins, "\t\tip saddr 127.0.0.1 ip daddr {address} masquerade {comment}").ok();
                }
            }
        }
        writeln!(
            text,
            "table {ip} cni_hostport\ndelete table {ip} cni_hostport\ntable {ip} cni_hostport {{\n\
             \tcomment \"CNI portmap plugin\"\n\tchain hostports {{\n{ports}\t}}\n\
             \tchain prerouting {{ type nat hook prerouting priority dstnat; fib daddr type local jump hostports; }}\n\
             \tchain output {{ type nat hook output priority -100; fib daddr type local jump hostports; }}\n\
             \tchain masquerading {{\n\t\ttype nat hook postrouting priority srcnat;\n{hairpins}\t}}\n}}"
        )
        .ok();
    }
    text
}
