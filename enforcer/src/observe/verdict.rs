//! A verdict of the model as JSON, in the form of the design's `explain -o json`.

use policy_model::{
    object::{ObjectKey, Protocol},
    policy::Direction,
    verdict::{Endpoint, Entry, Exemption, Flow, RuleRef, Side, Verdict},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::IpAddr;

/// The query of `/v1/verdict`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictQuery {
    /// Address of who opens the flow.
    pub source: IpAddr,
    /// Address of who it goes to, behind a Service.
    pub destination: IpAddr,
    /// `TCP` (the default), `UDP`, `SCTP`, or a protocol's number.
    pub protocol: Option<String>,
    /// Destination port; none for protocols that have no ports.
    pub port: Option<u16>,
}

impl VerdictQuery {
    /// The question for the model.
    ///
    /// # Errors
    /// What is wrong with the query, for whoever asked.
    pub fn flow(&self) -> Result<Flow, String> {
        if self.source.is_ipv4() != self.destination.is_ipv4() {
            return Err(format!(
                "source {} and destination {} are of two families",
                self.source, self.destination
            ));
        }
        let name = self.protocol.as_deref().unwrap_or("TCP");
        let named =
            Protocol::ALL.into_iter().find(|p| p.name().eq_ignore_ascii_case(name)).map(Protocol::number);
        let Some(protocol) = named.or_else(|| name.parse().ok()) else {
            return Err(format!("protocol {name:?} is none of TCP, UDP, SCTP and no number from 0 to 255"));
        };
        let has_ports = Protocol::from_number(protocol).is_some();
        if has_ports != self.port.is_some() {
            let what = if has_ports { "needs a port" } else { "has no ports" };
            return Err(format!("protocol {name} {what}"));
        }
        let [source, destination] = [self.source, self.destination].map(Endpoint::Address);
        Ok(Flow { source, destination, protocol, port: self.port })
    }

    /// The answer.
    #[must_use]
    pub fn answer(&self, flow: &Flow, verdict: &Verdict) -> Value {
        let protocol = Protocol::from_number(flow.protocol);
        json!({
            "kind": "Explanation",
            "source": { "address": self.source },
            "destination": { "address": self.destination },
            "protocol": protocol.map_or_else(|| json!(flow.protocol), |p| json!(p.name())),
            "port": self.port,
            "verdict": word(verdict.allowed),
            "exemption": verdict.exemption.map(|exemption| match exemption {
                Exemption::SelfTraffic => "a pod always reaches itself",
                Exemption::OwnNode => "a pod's own node always reaches it",
            }),
            "egress": side(&verdict.egress),
            "ingress": side(&verdict.ingress),
        })
    }
}

fn word(allowed: bool) -> &'static str {
    if allowed { "Allowed" } else { "Denied" }
}

fn side(side: &Side) -> Value {
    let names = |keys: &[ObjectKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "isolated": side.isolated,
        "policies": names(&side.policies),
        "verdict": word(side.allowed),
        "allowedBy": side.allowed_by.iter().map(allowed_by).collect::<Vec<_>>(),
        "nearMisses": side.near_misses.iter().map(|miss| json!({
            "policy": miss.policy.to_string(),
            "rule": miss.rule_path(),
            "failed": miss.failed.iter().map(|failure| json!({
                "entry": path(failure.entry, miss.direction),
                "why": failure.mismatch.to_string(),
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

fn path(entry: Entry, direction: Direction) -> String {
    entry.path(direction)
}

fn allowed_by(rule: &RuleRef) -> Value {
    json!({
        "policy": rule.policy.to_string(),
        "rule": rule.rule_path(),
        "peer": rule.peer_path(),
        "port": rule.port_path(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(protocol: Option<&str>, port: Option<u16>) -> VerdictQuery {
        VerdictQuery {
            source: "10.0.0.1".parse().unwrap(),
            destination: "10.0.0.2".parse().unwrap(),
            protocol: protocol.map(str::to_owned),
            port,
        }
    }

    #[test]
    fn protocols_are_named_or_numbered() {
        let number = |protocol, port| query(protocol, port).flow().map(|flow| flow.protocol);
        assert_eq!(number(None, Some(80)), Ok(6), "TCP is the default");
        assert_eq!(number(Some("sctp"), Some(80)), Ok(132));
        assert_eq!(number(Some("1"), None), Ok(1));
    }

    #[test]
    fn a_query_that_cannot_be_answered_says_why() {
        let said = |query: VerdictQuery| query.flow().unwrap_err();
        assert_eq!(said(query(None, None)), "protocol TCP needs a port");
        assert_eq!(said(query(Some("1"), Some(80))), "protocol 1 has no ports");
        assert!(said(query(Some("http"), Some(80))).contains("\"http\""));
        let mixed = VerdictQuery { destination: "fd00::1".parse().unwrap(), ..query(None, Some(80)) };
        assert_eq!(said(mixed), "source 10.0.0.1 and destination fd00::1 are of two families");
    }
}
