//! Reading endpoints and targets.

use super::{Endpoint, Ports, SelectorError, Target, Transport, WorkloadKind, selector};
use ipnet::IpNet;
use policy_model::object::{ObjectKey, Protocol};
use std::{net::IpAddr, str::FromStr, sync::Arc};

/// An endpoint or target that cannot be read. Each says what was written and what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Nothing was written.
    #[error(
        "an endpoint is empty; write ns/pod, ns/deploy/name, ns/[app=web], ns/*, an address, a CIDR or internet"
    )]
    Empty,
    /// It has no namespace.
    #[error(
        "`{0}` has no namespace; write ns/pod, ns/deploy/name, ns/[app=web] or ns/*, or an address, a CIDR or internet"
    )]
    NoNamespace(String),
    /// A namespace, pod or other name that no object can have.
    #[error("`{name}` is no object name: lower-case letters, digits, `-` and `.` only")]
    Name {
        /// What stands where a name belongs.
        name: String,
    },
    /// `ns/KIND/name` with another kind.
    #[error("`{kind}` is no kind with pods; write deploy, sts, ds, rs, job, cronjob, rc or svc")]
    Kind {
        /// What stands where a kind belongs.
        kind: String,
    },
    /// Between `[` and `]`.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// `10.0.0.1/8`.
    #[error("`{written}` has bits set after its prefix; write {network}")]
    HostBits {
        /// As it was written.
        written: String,
        /// The block that holds it.
        network: IpNet,
    },
    /// An IPv6 address in front of a port or protocol.
    #[error("`{0}`: put an IPv6 address in brackets, as in [fd00::1]:80/TCP")]
    Brackets(String),
    /// Something after a closing bracket that is no port.
    #[error("`{0}`: only :PORT and /PROTOCOL may follow a `]`")]
    AfterBracket(String),
    /// A port that is none.
    #[error("`{0}` is no port; write a number from 1 to 65535, a range as in 8000-8100, or a port's name")]
    Port(String),
    /// A protocol that is none.
    #[error("`{0}` is no protocol; write TCP, UDP or SCTP after a port, or ICMP without one")]
    Protocol(String),
    /// A port after ICMP.
    #[error("ICMP has no ports; write {0}/ICMP")]
    IcmpPort(String),
    /// Ports where only an endpoint may stand.
    #[error("`{0}` has a port or protocol, but a source has none; write it at the destination")]
    PortOfSource(String),
}

/// An endpoint without ports.
impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let target: Target = text.parse()?;
        match target.ports {
            Ports::Everything => Ok(target.endpoint),
            _ => Err(EndpointError::PortOfSource(text.to_owned())),
        }
    }
}

/// `ENDPOINT[:PORT][/PROTOCOL]`.
impl FromStr for Target {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim();
        let (rest, transport) = split_transport(text);
        let (endpoint, port) = split_port(rest, transport.is_some())?;
        let ports = match (port, transport) {
            (None, None) => Ports::Everything,
            (None, Some(transport)) => Ports::All(transport),
            (Some(_), Some(Transport::Icmp)) => return Err(EndpointError::IcmpPort(endpoint.to_owned())),
            (Some(port), Some(Transport::Ported(protocol))) => read_ports(port, protocol)?,
            (Some(port), None) => read_ports(port, Protocol::default())?,
        };
        Ok(Self { endpoint: read_endpoint(endpoint)?, ports })
    }
}

/// A protocol is written in capitals, which no object's name has. After a port it cannot be a name, and small letters will do.
fn split_transport(text: &str) -> (&str, Option<Transport>) {
    let Some((rest, last)) = text.rsplit_once('/') else { return (text, None) };
    let after_port = || rest.contains(':').then(|| Transport::from_name(&last.to_ascii_uppercase()))?;
    match Transport::from_name(last).or_else(after_port) {
        Some(transport) => (rest, Some(transport)),
        None => (text, None),
    }
}

/// Splits `:PORT` off. Colons inside brackets and of a bare IPv6 address are no part of it.
fn split_port(text: &str, has_transport: bool) -> Result<(&str, Option<&str>), EndpointError> {
    if let Some(end) = text.rfind(']') {
        let (endpoint, tail) = text.split_at(end + 1);
        return match tail.strip_prefix(':') {
            Some(port) => Ok((endpoint, Some(port))),
            None if tail.is_empty() => Ok((endpoint, None)),
            None => Err(EndpointError::AfterBracket(text.to_owned())),
        };
    }
    let is_bare_ipv6 = text.bytes().filter(|b| *b == b':').count() > 1;
    match text.split_once(':') {
        _ if is_bare_ipv6 && has_transport => Err(EndpointError::Brackets(text.to_owned())),
        Some((endpoint, port)) if !is_bare_ipv6 => Ok((endpoint, Some(port))),
        _ => Ok((text, None)),
    }
}

fn read_ports(text: &str, protocol: Protocol) -> Result<Ports, EndpointError> {
    if let Some((_, protocol)) = text.split_once('/') {
        return Err(EndpointError::Protocol(protocol.to_owned()));
    }
    let wrong = || EndpointError::Port(text.to_owned());
    let number = |digits: &str| digits.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong);
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('-') {
        _ if is_digits(text) => number(text).map(|port| Ports::Range(protocol, port, port)),
        Some((lo, hi)) if is_digits(lo) && is_digits(hi) => {
            let (lo, hi) = (number(lo)?, number(hi)?);
            if lo <= hi { Ok(Ports::Range(protocol, lo, hi)) } else { Err(wrong()) }
        }
        _ if text.bytes().any(|b| b.is_ascii_alphabetic()) && is_name(text) => {
            Ok(Ports::Named(protocol, text.into()))
        }
        _ => Err(wrong()),
    }
}

fn read_endpoint(text: &str) -> Result<Endpoint, EndpointError> {
    if text.is_empty() {
        return Err(EndpointError::Empty);
    }
    if text == "internet" {
        return Ok(Endpoint::Internet);
    }
    let unbracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = unbracketed.parse::<IpAddr>() {
        return Ok(Endpoint::Address(address));
    }
    if let Ok(block) = unbracketed.parse::<IpNet>() {
        if block != block.trunc() {
            return Err(EndpointError::HostBits { written: text.to_owned(), network: block.trunc() });
        }
        return Ok(Endpoint::Block(block));
    }
    let (namespace, rest) =
        text.split_once('/').ok_or_else(|| EndpointError::NoNamespace(text.to_owned()))?;
    if let Some(selector) = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Ok(Endpoint::Selected {
            namespace: any_or_name(namespace)?,
            selector: selector::parse(selector)?,
        });
    }
    if rest == "*" {
        let selector = policy_model::selector::Selector::everything();
        return Ok(Endpoint::Selected { namespace: any_or_name(namespace)?, selector });
    }
    match rest.split_once('/') {
        None if namespace == "node" => Ok(Endpoint::Node(name(rest)?)),
        None => Ok(Endpoint::Pod(key(namespace, rest)?)),
        Some(("svc" | "service", service)) => Ok(Endpoint::Service(key(namespace, service)?)),
        Some((kind, workload)) => {
            let kind =
                WorkloadKind::from_name(kind).ok_or_else(|| EndpointError::Kind { kind: kind.to_owned() })?;
            Ok(Endpoint::Workload { kind, key: key(namespace, workload)? })
        }
    }
}

fn key(namespace: &str, object: &str) -> Result<ObjectKey, EndpointError> {
    Ok(ObjectKey { namespace: name(namespace)?, name: name(object)? })
}

fn any_or_name(namespace: &str) -> Result<Option<Arc<str>>, EndpointError> {
    if namespace == "*" { Ok(None) } else { name(namespace).map(Some) }
}

fn name(text: &str) -> Result<Arc<str>, EndpointError> {
    if is_name(text) { Ok(text.into()) } else { Err(EndpointError::Name { name: text.to_owned() }) }
}

/// The letters of a DNS-1123 subdomain.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
}
