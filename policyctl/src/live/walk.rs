//! One packet through the rulesets of the nodes that judge it, as their kernels hold them, beside what the model says.

use crate::{
    endpoint::Transport,
    explain::{Asked, Explanation, Pair},
    style::{Style, Tone},
};
use compiler::{
    ir::{self, Family, Name},
    readback::Readback,
    sim::{self, At, Hit, Interface, Links, Moment, Outcome, Refused, Route, Step},
};
use policy_model::{
    cluster::Cluster,
    object::{ObjectKey, Pod},
    verdict::{self, Exemption, Verdict},
};
use serde_json::{Value, json};
use std::net::IpAddr;

/// A packet that a node judges, or part of whose way it judges.
#[derive(Clone, Debug)]
pub struct Question {
    /// The node.
    pub node: String,
    /// Who sends it.
    pub source: verdict::Endpoint,
    /// Whom to.
    pub destination: verdict::Endpoint,
    flow: sim::Flow,
    route: Route,
    /// What the model says about the part that this node judges.
    model: bool,
}

/// What a node's kernel does with a packet.
#[derive(Clone, Debug)]
pub struct Walk {
    /// What was asked.
    pub question: Question,
    /// Number of the node's ruleset.
    pub revision: u64,
    /// Whether the kernel lets it pass; or why it would not have loaded such a ruleset.
    pub passes: Result<bool, String>,
    /// The rules that decide, in one line.
    pub short: String,
    /// Every rule that was asked.
    pub trace: Vec<String>,
    /// The object that decided: a set, map or chain.
    pub decided_by: Option<String>,
}

impl Walk {
    /// Whether the kernel does what the model says.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.passes == Ok(self.question.model)
    }
}

/// What the nodes are to be asked, for every pair whose ends have addresses. Pairs about several ports are left out.
#[must_use]
pub fn questions(cluster: &Cluster, explanation: &Explanation) -> Vec<Question> {
    explanation.pairs.iter().flat_map(|pair| of_pair(cluster, pair)).collect()
}

fn of_pair(cluster: &Cluster, pair: &Pair) -> Vec<Question> {
    let Asked::One(transport, port, to_ipv6) = pair.asked else { return Vec::new() };
    let (source, destination) = (End::of(cluster, &pair.source), End::of(cluster, &pair.destination));
    let (Some(from), Some(to)) =
        (source.address(destination.is_ipv6()), destination.address(source.is_ipv6()))
    else {
        return Vec::new();
    };
    let protocol = transport.number_for(to_ipv6);
    let port = port.filter(|_| matches!(transport, Transport::Ported(_)));
    let verdict = cluster.verdict(&verdict::Flow {
        source: pair.source.clone(),
        destination: pair.destination.clone(),
        protocol,
        port,
    });
    let flow = sim::Flow::new(from, to, protocol, port);
    let ask = |node: &str, route, model| Question {
        node: node.to_owned(),
        source: pair.source.clone(),
        destination: pair.destination.clone(),
        flow,
        route,
        model,
    };
    match (source.node(), destination.node()) {
        // It never leaves the pod.
        _ if source.pod.is_some() && source.key() == destination.key() => Vec::new(),
        (Some(one), Some(other)) if one == other => vec![ask(one, Route::Bridged, verdict.allowed)],
        (here, there) => {
            let exempt = verdict.exemption == Some(Exemption::OwnNode);
            let sent = here.map(|here| {
                let route = match () {
                    () if is_nodes(cluster, here, to) => Route::ToNode,
                    () if destination.pod.is_some() => Route::ToOverlay,
                    () => Route::ToOutside,
                };
                ask(here, route, verdict.egress.allowed)
            });
            let received = there.map(|there| {
                let route = match () {
                    () if exempt || is_nodes(cluster, there, from) => Route::FromNode,
                    () if source.pod.is_some() => Route::FromOverlay,
                    () => Route::FromOutside,
                };
                ask(there, route, side(&verdict))
            });
            sent.into_iter().chain(received).collect()
        }
    }
}

fn side(verdict: &Verdict) -> bool {
    verdict.ingress.allowed || verdict.exemption.is_some()
}

fn is_nodes(cluster: &Cluster, node: &str, address: IpAddr) -> bool {
    cluster.node(node).is_some_and(|node| node.own_addresses().any(|own| own == address))
}

/// An end, and the pod that it is.
struct End<'a> {
    pod: Option<&'a Pod>,
    address: Option<IpAddr>,
}

impl<'a> End<'a> {
    fn of(cluster: &'a Cluster, endpoint: &verdict::Endpoint) -> Self {
        match endpoint {
            verdict::Endpoint::Pod { key, address } => Self { pod: cluster.pod(key), address: *address },
            verdict::Endpoint::Address(address) => {
                Self { pod: cluster.claimants(*address).next(), address: Some(*address) }
            }
        }
    }

    fn key(&self) -> Option<&'a ObjectKey> {
        self.pod.map(|pod| &pod.key)
    }

    /// The node that judges its packets: none for what is on the host's network.
    fn node(&self) -> Option<&'a str> {
        self.pod.filter(|pod| pod.is_policed())?.node.as_deref()
    }

    fn is_ipv6(&self) -> Option<bool> {
        self.address.map(|address| address.is_ipv6())
    }

    /// Its address of the other end's family.
    fn address(&self, ipv6: Option<bool>) -> Option<IpAddr> {
        let fits = |address: &IpAddr| ipv6.is_none_or(|ipv6| address.is_ipv6() == ipv6);
        let of_pod = || self.pod?.ips.iter().copied().find(fits);
        self.address.filter(fits).or_else(of_pod)
    }
}

/// Follows the packet through a kernel.
#[must_use]
pub fn walk(question: Question, kernel: &Readback) -> Walk {
    let bridge = kernel.config.bridges.first().cloned().unwrap_or_else(|| "cni0".into());
    let links = Links { bridge: Interface::new(5, bridge), ..Links::default() };
    let (hook, packet) = question.flow.packet(question.route, &links, Moment::First);
    let outcome = sim::evaluate(&kernel.ruleset, Family::Inet, hook, &packet);
    let revision = kernel.revision;
    match outcome {
        Ok(outcome) => Walk {
            passes: Ok(outcome.verdict == sim::Verdict::Accept),
            short: short(&outcome),
            trace: outcome.trace.iter().map(ToString::to_string).collect(),
            decided_by: decided_by(&outcome),
            question,
            revision,
        },
        Err(refused) => {
            let refused: Refused = refused;
            Walk {
                passes: Err(refused.to_string()),
                short: refused.to_string(),
                trace: Vec::new(),
                decided_by: None,
                question,
                revision,
            }
        }
    }
}

/// Chains of programs; all others are the same on every node.
fn is_program(chain: &str) -> bool {
    chain.starts_with("in-") || chain.starts_with("out-")
}

fn is_dispatch(map: &str) -> bool {
    ["ingress4-", "ingress6-", "egress4-", "egress6-"].iter().any(|start| map.starts_with(start))
}

/// `ingress4-o{10.244.2.7} → in-38-o4 → in-38-x4: no element → deny`.
fn short(outcome: &Outcome<'_>) -> String {
    let mut words: Vec<String> = Vec::new();
    for step in &outcome.trace {
        words.extend(word(step));
    }
    match outcome.verdict {
        sim::Verdict::Accept => words.push("passes".to_owned()),
        sim::Verdict::Drop => words.push("dropped".to_owned()),
    }
    words.join(" → ")
}

fn word(step: &Step<'_>) -> Option<String> {
    let At::Rule { rule, hits, miss, verdict, .. } = &step.at else { return None };
    let dispatch = hits.iter().find(|hit| is_dispatch(hit.set));
    if let (Some(hit), Some(verdict)) = (dispatch, verdict) {
        let key = compiler::text::element(hit.spec, hit.key, None);
        return Some(match verdict {
            ir::Verdict::Goto(chain) | ir::Verdict::Jump(chain) => format!("{}{{{key}}} → {chain}", hit.set),
            _ => format!("{}{{{key}}}: not isolated", hit.set),
        });
    }
    let set = rule.statements.iter().find_map(|statement| match statement {
        ir::Statement::Lookup { set, .. } | ir::Statement::VerdictMap(_, set) => Some(set),
        _ => None,
    });
    if is_program(step.chain) {
        return match (set, miss, verdict) {
            (Some(set), None, Some(ir::Verdict::Return)) => Some(format!("{set}: element → allowed")),
            (None, None, Some(ir::Verdict::Return)) => Some("allowed".to_owned()),
            (Some(set), Some(_), _) => Some(format!("{set}: no element")),
            (_, None, Some(ir::Verdict::Goto(chain))) => Some(chain.to_string()),
            _ => None,
        };
    }
    match (set, miss, verdict) {
        (Some(map), Some(_), _) if is_dispatch(map) => Some(format!("{map}: no element")),
        (_, None, Some(ir::Verdict::Goto(chain))) if ["stray", "overlay"].contains(&&**chain) => {
            Some(chain.to_string())
        }
        _ => None,
    }
}

/// The last object of a program or of the dispatch that was asked.
fn decided_by(outcome: &Outcome<'_>) -> Option<String> {
    outcome.trace.iter().rev().find_map(|step| {
        let At::Rule { rule, hits, .. } = &step.at else { return None };
        let of_hit = |hit: &Hit<'_>| is_dispatch(hit.set).then(|| format!("map inet palisade {}", hit.set));
        let set = |name: &Name| format!("set inet palisade {name}");
        let asked = rule.statements.iter().find_map(|statement| match statement {
            ir::Statement::Lookup { set, .. } | ir::Statement::VerdictMap(_, set) => Some(set),
            _ => None,
        });
        if is_program(step.chain) {
            return asked.map(set);
        }
        let missed = asked.filter(|name| is_dispatch(name)).map(|name| format!("map inet palisade {name}"));
        hits.iter().find_map(of_hit).or(missed)
    })
}

/// For people: a line each where they agree, both walks where they do not.
#[must_use]
pub fn text(walks: &[Walk], policies: Option<&str>, style: Style) -> String {
    let word = |allowed: bool| match allowed {
        true => style.paint(Tone::Good, "allowed"),
        false => style.paint(Tone::Bad, "denied "),
    };
    let Some(first) = walks.first() else { return String::new() };
    let ends = |walk: &Walk| (walk.question.source.clone(), walk.question.destination.clone());
    let several = walks.iter().any(|walk| ends(walk) != ends(first));
    let mut out = String::from("\n");
    let at =
        policies.map(|version| format!("   (policies at resourceVersion {version})")).unwrap_or_default();
    for walk in walks {
        let Question { node, source, destination, model, .. } = &walk.question;
        if several {
            out += &format!("  {source} → {destination}\n");
        }
        let kernel =
            walk.passes.as_ref().map_or_else(|_| style.paint(Tone::Bad, "unknown"), |&passes| word(passes));
        let (agrees, tone) = if walk.agrees() { ("agrees", Tone::Good) } else { ("DISAGREES", Tone::Bad) };
        out += format!("  model   {}{at}", word(*model)).trim_end();
        out += "\n";
        let line = format!("node {node}, revision {}, {}", walk.revision, walk.short);
        let head = format!("  kernel  {kernel}   ");
        out += &indented(&head, "  kernel  allowed   ".len(), &line, style.width);
        out += &format!("  {:18}{}\n", "", style.paint(tone, agrees));
        if !walk.agrees() {
            if let Some(object) = &walk.decided_by {
                out += &format!("  {object} on node {node} is not what the policies want there\n");
            }
            out += &style.paint(Tone::Strong, &format!("  The kernel's walk on node {node}\n"));
            for step in &walk.trace {
                out += &format!("    {step}\n");
            }
        }
    }
    out
}

/// A heading that may be coloured, then words in lines that begin where the heading ends.
fn indented(head: &str, columns: usize, text: &str, width: usize) -> String {
    let body = crate::explain::wrapped(&" ".repeat(columns), text, width);
    format!("{head}{}", body.trim_start())
}

/// For programs.
#[must_use]
pub fn json(walks: &[Walk]) -> Value {
    let word = |allowed: bool| if allowed { "Allowed" } else { "Denied" };
    let node = |walk: &Walk| {
        json!({
            "node": walk.question.node,
            "revision": walk.revision,
            "source": walk.question.source.to_string(),
            "destination": walk.question.destination.to_string(),
            "model": word(walk.question.model),
            "kernel": walk.passes.as_ref().map_or("Unknown", |&passes| word(passes)),
            "agrees": walk.agrees(),
            "decidedBy": walk.decided_by,
            "walk": walk.short,
            "trace": walk.trace,
        })
    };
    let passes = walks.iter().all(|walk| walk.passes == Ok(true));
    json!({
        "verdict": if walks.is_empty() { "Unknown" } else { word(passes) },
        "agrees": walks.iter().all(Walk::agrees),
        "nodes": walks.iter().map(node).collect::<Vec<_>>(),
    })
}
