//! NetworkPolicy.
//!
//! Source: `networking.k8s.io/v1` `NetworkPolicy`, its field documentation and defaulting.

use super::{
    at::At, check::Check, cidr, names, pod::protocol as protocol_named, problem::Rejection,
    selector::selector,
};
use crate::{
    policy::{NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    selector::Selector,
};
use ipnet::IpNet;
use k8s_openapi::{
    api::networking::v1::{
        IPBlock, NetworkPolicy as ApiPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

/// A policy that an API server would take today.
///
/// # Errors
/// Everything that an API server would refuse on a create.
pub fn policy(object: &ApiPolicy) -> Result<NetworkPolicy, Rejection> {
    convert(object, true)
}

/// A policy that an API server has stored, perhaps long ago, when it was less strict: CIDRs need not be canonical, and
/// values in selectors need not be label values (such a value matches no label).
///
/// # Errors
/// Everything else that an API server would refuse.
pub fn stored_policy(object: &ApiPolicy) -> Result<NetworkPolicy, Rejection> {
    convert(object, false)
}

fn convert(object: &ApiPolicy, strict: bool) -> Result<NetworkPolicy, Rejection> {
    let (check, key, _) = Check::namespaced("NetworkPolicy", &object.metadata);
    let mut converter = Converter { check, strict };
    let empty = NetworkPolicySpec::default();
    let spec = object.spec.as_ref().unwrap_or(&empty);
    let path = At::root().field("spec");
    let pod_selector = converter.selector(&path.field("podSelector"), spec.pod_selector.as_ref());

    // Both lists are checked whole even where policyTypes leaves one out.
    let ingress = spec.ingress.iter().flatten().map(|rule| (&rule.from, &rule.ports));
    let ingress = converter.rules(&path.field("ingress"), "from", ingress);
    let egress = spec.egress.iter().flatten().map(|rule| (&rule.to, &rule.ports));
    let egress = converter.rules(&path.field("egress"), "to", egress);
    let types = spec.policy_types.as_deref().unwrap_or_default();
    converter.policy_types(&path.field("policyTypes"), types);

    // Defaulting of the API: without policyTypes ingress always, egress if there is an egress rule.
    let isolates =
        |name: &str, by_default| if types.is_empty() { by_default } else { types.iter().any(|t| t == name) };
    let ingress = isolates("Ingress", true).then_some(ingress);
    let egress = isolates("Egress", !egress.is_empty()).then_some(egress);
    converter.check.finish(NetworkPolicy { key, pod_selector, ingress, egress })
}

struct Converter {
    check: Check,
    /// Whether the object is new; else it is stored, see [`stored_policy`].
    strict: bool,
}

impl Converter {
    /// A selector that is absent where the API has no pointer is an empty one: everything.
    fn selector(
        &mut self,
        path: &At<'_>,
        from: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector>,
    ) -> Selector {
        from.map_or_else(Selector::everything, |from| selector(&mut self.check, path, from, self.strict))
    }

    fn rules<'a>(
        &mut self,
        path: &At<'_>,
        peers_field: &'static str,
        rules: impl Iterator<Item = (&'a Option<Vec<NetworkPolicyPeer>>, &'a Option<Vec<NetworkPolicyPort>>)>,
    ) -> Vec<Rule> {
        let mut converted = Vec::new();
        for (index, (peers, ports)) in rules.enumerate() {
            let path = path.index(index);
            let (peers_path, ports_path) = (path.field(peers_field), path.field("ports"));
            let peers = peers.iter().flatten().enumerate();
            let peers = peers.filter_map(|(i, peer)| self.peer(&peers_path.index(i), peer)).collect();
            let ports = ports.iter().flatten().enumerate();
            let ports = ports.filter_map(|(i, port)| self.port(&ports_path.index(i), port)).collect();
            converted.push(Rule { peers, ports });
        }
        converted
    }

    fn peer(&mut self, path: &At<'_>, peer: &NetworkPolicyPeer) -> Option<Peer> {
        let NetworkPolicyPeer { ip_block, namespace_selector, pod_selector } = peer;
        let has_selector = namespace_selector.is_some() || pod_selector.is_some();
        match ip_block {
            None if !has_selector => {
                let problem = self.check.problem(path, None, "the peer is empty");
                problem.help(
                    "give it podSelector, namespaceSelector or ipBlock; {} as a podSelector means every pod",
                );
                return None;
            }
            Some(_) if has_selector => {
                let problem =
                    self.check.problem(path, None, "ipBlock cannot stand with a selector in one peer");
                problem.help("make them two peers: either of them matches then");
            }
            _ => {}
        }
        let namespaces = namespace_selector
            .as_ref()
            .map(|selector| self.selector(&path.field("namespaceSelector"), Some(selector)));
        let pods = self.selector(&path.field("podSelector"), pod_selector.as_ref());
        match ip_block {
            Some(block) => self.ip_block(&path.field("ipBlock"), block),
            None => Some(Peer::Pods { namespaces, pods }),
        }
    }

    fn ip_block(&mut self, path: &At<'_>, block: &IPBlock) -> Option<Peer> {
        let cidr = self.cidr(&path.field("cidr"), &block.cidr);
        let mut except = Vec::new();
        for (index, text) in block.except.iter().flatten().enumerate() {
            let path = path.field("except").index(index);
            let Some(part) = self.cidr(&path, text) else { continue };
            if let Some(cidr) = cidr
                && !(cidr.contains(&part) && cidr != part)
            {
                let message = format!("{text} is not a strict part of {}", block.cidr);
                self.check.problem(&path, Some(text.clone()), message).help(exception_help(cidr, part));
            }
            except.push(part);
        }
        except.sort();
        except.dedup();
        Some(Peer::IpBlock { cidr: cidr?, except })
    }

    fn cidr(&mut self, path: &At<'_>, text: &str) -> Option<IpNet> {
        if text.is_empty() {
            self.check.problem(path, None, "the block is missing").help("write it as 10.0.0.0/8 or fd00::/8");
            return None;
        }
        if !self.strict
            && let Some(block) = cidr::stored(text)
        {
            return Some(block);
        }
        match cidr::canonical(text) {
            Ok(block) => Some(block),
            Err(bad) => {
                let message = format!("\"{text}\" is not a CIDR block in canonical form: {}", bad.message);
                let problem = self.check.problem(path, Some(text.to_owned()), message);
                if let Some(meant) = bad.meant {
                    problem.help(format!("did you mean {meant}?"));
                } else {
                    problem.help("write it as 10.0.0.0/8 or fd00::/8; a single address as 10.0.0.1/32");
                }
                None
            }
        }
    }

    fn port(&mut self, path: &At<'_>, port: &NetworkPolicyPort) -> Option<PolicyPort> {
        let NetworkPolicyPort { end_port, port, protocol } = port;
        let protocol = protocol_named(&mut self.check, &path.field("protocol"), protocol.as_deref());
        let port = match port {
            None => self.without_end_port(path, *end_port, "no port").then_some(PortMatch::All),
            Some(IntOrString::String(name)) => {
                let without = self.without_end_port(path, *end_port, "a port that is a name");
                if name.parse::<u16>().is_ok() {
                    let message = format!("\"{name}\" is a number in quotes, which makes it a name");
                    let problem = self.check.problem(&path.field("port"), Some(name.clone()), message);
                    problem.help(format!("write {name} without quotes"));
                } else {
                    self.check.syntax(&path.field("port"), name, "a port name", names::port_name);
                }
                without.then(|| PortMatch::Named(name.as_str().into()))
            }
            Some(IntOrString::Int(number)) => self.range(path, *number, *end_port),
        };
        Some(PolicyPort { protocol: protocol?, port: port? })
    }

    fn range(&mut self, path: &At<'_>, port: i32, end_port: Option<i32>) -> Option<PortMatch> {
        let first = self.number(&path.field("port"), port);
        let path = path.field("endPort");
        let last = match end_port {
            None => first,
            Some(end) => self.number(&path, end).filter(|_| {
                if end < port {
                    let message = format!("{end} is less than port {port}");
                    let problem = self.check.problem(&path, Some(end.to_string()), message);
                    problem.help("a range runs from port to endPort, both included");
                }
                end >= port
            }),
        };
        Some(PortMatch::Range(first?, last?))
    }

    fn number(&mut self, path: &At<'_>, number: i32) -> Option<u16> {
        let valid = u16::try_from(number).ok().filter(|number| *number > 0);
        if valid.is_none() {
            let message = format!("{number} is not a port number");
            self.check.problem(path, Some(number.to_string()), message).help("ports are 1 to 65535");
        }
        valid
    }

    fn without_end_port(&mut self, path: &At<'_>, end_port: Option<i32>, with: &str) -> bool {
        if let Some(end) = end_port {
            let message = format!("endPort {end} cannot stand with {with}");
            let problem = self.check.problem(&path.field("endPort"), Some(end.to_string()), message);
            problem.help("a range needs a number in port and a number in endPort");
        }
        end_port.is_none()
    }

    fn policy_types(&mut self, path: &At<'_>, types: &[String]) {
        if types.len() > 2 {
            let message = format!("there are {} policy types", types.len());
            self.check
                .problem(path, Some(types.join(",")), message)
                .help("list Ingress, Egress or both, once each");
        }
        for (index, name) in types.iter().enumerate() {
            if !["Ingress", "Egress"].contains(&name.as_str()) {
                let message = format!("\"{name}\" is not a policy type");
                let problem = self.check.problem(&path.index(index), Some(name.clone()), message);
                problem.help("use Ingress or Egress, with a capital letter");
            }
        }
    }
}

fn exception_help(cidr: IpNet, part: IpNet) -> String {
    match (cidr.addr().is_ipv4() == part.addr().is_ipv4(), cidr == part) {
        (false, _) => format!("an exception is of the same address family as {cidr}"),
        (true, true) => "the block would be empty: leave the whole peer out".to_owned(),
        (true, false) => {
            format!("an exception lies within {cidr}; what lies outside is not in the block anyway")
        }
    }
}
