//! `explain` for people: the answer, why, and what to do, on one screen.

use super::{Answer, Asked, Explanation, Ports, Side};
use crate::{
    input::Snapshot,
    matrix::Connections,
    places::rule_field,
    style::{Style, Tone},
};
use policy_model::{
    object::ObjectKey,
    policy::Direction,
    portset::PortSet,
    verdict::{Endpoint, Entry, NearMiss, RuleRef},
};
use std::fmt::Write;

/// How many rules, pairs or near misses are shown of each.
const SHOWN: usize = 3;

/// The explanation as text, with a newline at the end.
#[must_use]
pub fn text(snapshot: &Snapshot, explanation: &Explanation, style: Style) -> String {
    let screen = Screen { snapshot, explanation, style };
    let mut out = screen.headline();
    if explanation.ports.is_some() {
        out += &screen.ports();
    }
    if !explanation.pairs.is_empty() {
        out += "\n";
        out += &screen.side("egress", Direction::Egress, &explanation.egress);
        out += &screen.side("ingress", Direction::Ingress, &explanation.ingress);
    }
    out += &screen.near_misses();
    out += &screen.pairs();
    if let Some(fix) = &explanation.fix {
        out += "\n";
        out += &fix.text(style);
    }
    if !explanation.notes.is_empty() {
        out += "\n";
    }
    for note in &explanation.notes {
        out += &wrapped("  Note  ", note, style.width);
    }
    out
}

/// The tone of an answer.
fn tone(answer: Answer) -> Tone {
    match answer {
        Answer::Allowed => Tone::Good,
        Answer::Denied => Tone::Bad,
        Answer::Unknown | Answer::Mixed => Tone::Unsure,
    }
}

/// A paragraph under a heading, with its further lines indented as far as the first.
pub(crate) fn wrapped(heading: &str, text: &str, width: usize) -> String {
    let indent = heading.chars().count();
    let mut out = heading.to_owned();
    let mut column = indent;
    for (index, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > width {
            out += "\n";
            out += &" ".repeat(indent);
            column = indent;
        } else if index > 0 {
            out += " ";
            column += 1;
        }
        out += word;
        column += length;
    }
    out + "\n"
}

struct Screen<'a> {
    snapshot: &'a Snapshot,
    explanation: &'a Explanation,
    style: Style,
}

impl Screen<'_> {
    fn headline(&self) -> String {
        let Explanation { asked, sources, destinations, verdict, pairs, .. } = self.explanation;
        let word = self.style.paint(tone(*verdict), &format!("{:8}", verdict.word().to_uppercase()));
        let source = named(&asked.source.to_string(), sources);
        let destination = named(&asked.target.endpoint.to_string(), destinations);
        let on = match &self.explanation.port {
            Some((transport, Some(port))) => format!("  {} {port}", transport.name()),
            Some((transport, None)) => format!("  {}", transport.name()),
            None => String::new(),
        };
        let mut via: Vec<String> = Vec::new();
        for pair in pairs {
            if let (Some(route), Asked::One(transport, Some(port), _)) = (&pair.service, &pair.asked) {
                let text = format!("Service port {} → pod port {port}/{}", route.port, transport.name());
                if !via.contains(&text) {
                    via.push(text);
                }
            }
        }
        let via = if via.is_empty() { String::new() } else { format!("  ({})", via.join(", ")) };
        format!("{word} {source} → {destination}{on}{via}\n")
    }

    fn ports(&self) -> String {
        let Some(Ports { allowed, mixed, unknown, denied }) = &self.explanation.ports else {
            return String::new();
        };
        let mut out = "\n".to_owned();
        for (answer, set) in [
            (Answer::Allowed, allowed),
            (Answer::Mixed, mixed),
            (Answer::Unknown, unknown),
            (Answer::Denied, denied),
        ] {
            if !set.is_empty() {
                let word = self.style.paint(tone(answer), &format!("{answer:8}"));
                let _ = writeln!(out, "  {word} {}", ports_words(set));
            }
        }
        out
    }

    /// One side: its answer, and who decides it.
    fn side(&self, name: &str, direction: Direction, side: &Side) -> String {
        let answer = match side.verdict {
            Answer::Denied => self.style.paint(Tone::Bad, "DENIED "),
            Answer::Allowed => self.style.paint(Tone::Good, "allowed"),
            other => self.style.paint(tone(other), &format!("{:7}", other.word().to_lowercase())),
        };
        let who = match direction {
            Direction::Egress => &self.explanation.sources,
            Direction::Ingress => &self.explanation.destinations,
        };
        let head = format!("  {name:8} {answer}  ");
        let indent = 19;
        let width = self.style.width.saturating_sub(indent);
        let lines = match side {
            Side { isolated: false, .. } if self.is_outside(direction) => {
                vec!["outside the cluster, where no policy has a say".to_owned()]
            }
            Side { isolated: false, .. } => {
                vec![format!("no policy isolates {} for {name}", named_all(who))]
            }
            Side { verdict: Answer::Denied, policies, .. } => {
                let policies = policies.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                vec![format!("isolated by {policies}; no rule allows this")]
            }
            Side { allowed_by, policies, .. } => {
                let mut lines: Vec<String> =
                    allowed_by.iter().take(SHOWN).flat_map(|rule| self.rule(rule, width)).collect();
                if allowed_by.len() > SHOWN {
                    lines.push(format!("and {} more rules", allowed_by.len() - SHOWN));
                }
                if lines.is_empty() {
                    let names = policies.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                    lines.push(match side.verdict {
                        Answer::Allowed => format!("isolated by {names}, but policies have no say here"),
                        _ => {
                            format!("isolated by {names}; no rule allows this, but not every end is isolated")
                        }
                    });
                }
                lines
            }
        };
        let body: String = lines.iter().map(|line| wrapped("", line, width)).collect();
        let mut out = String::new();
        for (index, line) in body.lines().enumerate() {
            let start = if index == 0 { head.clone() } else { " ".repeat(indent) };
            let _ = writeln!(out, "{start}{line}");
        }
        out
    }

    /// Whether no end of one side is a pod, or an address that a pod or node has.
    fn is_outside(&self, direction: Direction) -> bool {
        let cluster = &self.snapshot.cluster;
        let is_node = |address| cluster.nodes().any(|node| node.own_addresses().any(|own| own == address));
        self.explanation.pairs.iter().all(|pair| {
            let end = match direction {
                Direction::Egress => &pair.source,
                Direction::Ingress => &pair.destination,
            };
            match end {
                Endpoint::Address(address) => {
                    cluster.claimants(*address).next().is_none() && !is_node(*address)
                }
                Endpoint::Pod { .. } => false,
            }
        })
    }

    /// `by prod/db ingress[0].from[0] ports[0]  policies/db.yaml:14`, in two lines where it is too long for one.
    fn rule(&self, rule: &RuleRef, width: usize) -> Vec<String> {
        let peer = rule.peer_path().map(|path| format!(".{path}")).unwrap_or_default();
        let port = rule.port_path().map(|path| format!(" {path}")).unwrap_or_default();
        let text = format!("by {} {}{peer}{port}", rule.policy, rule.rule_path());
        let place = self.place(&rule.policy, rule.direction, rule.rule);
        if text.chars().count() + place.chars().count() <= width {
            return vec![text + &place];
        }
        let place = place.trim_start();
        vec![text, place.to_owned()].into_iter().filter(|line| !line.is_empty()).collect()
    }

    fn place(&self, policy: &ObjectKey, direction: Direction, rule: usize) -> String {
        match self.snapshot.place(policy, &rule_field(direction, rule)) {
            Some(location) => format!("  {}:{}", location.file, location.line),
            None => String::new(),
        }
    }

    /// The rules that come nearest, for a side that denies.
    fn near_misses(&self) -> String {
        let sides = [&self.explanation.egress, &self.explanation.ingress];
        let denied = sides.into_iter().filter(|side| side.verdict != Answer::Allowed);
        let misses: Vec<&NearMiss> = denied.flat_map(|side| side.near_misses.iter().take(SHOWN)).collect();
        if misses.is_empty() {
            return String::new();
        }
        let heading = if misses.len() == 1 { "Nearest rule" } else { "Nearest rules" };
        let mut out = format!("\n  {}\n", self.style.paint(Tone::Strong, heading));
        // Several pods may miss a rule in the same way.
        let mut shown = Vec::new();
        for text in misses.iter().map(|miss| self.near_miss(miss)) {
            if !shown.contains(&text) {
                out += &text;
                shown.push(text);
            }
        }
        let hidden: usize = sides.iter().map(|side| side.near_misses.len().saturating_sub(SHOWN)).sum();
        if hidden > 0 {
            let _ = writeln!(out, "    and {hidden} more rules that do not match");
        }
        out
    }

    fn near_miss(&self, miss: &NearMiss) -> String {
        let place = self.place(&miss.policy, miss.direction, miss.rule);
        let mut out = format!("    {}  {}{place}\n", miss.policy, miss.rule_path());
        for failure in miss.failed.iter().take(SHOWN) {
            let path = failure.entry.path(miss.direction);
            let (subject, finding) = (failure.mismatch.subject(), failure.mismatch.finding());
            let cross = self.style.paint(Tone::Bad, "✗");
            let line = match failure.entry {
                Entry::Peer(_) => format!("{path}.{subject}"),
                Entry::Port(_) => format!("{path}  {subject}"),
            };
            let fits = line.chars().count().max(38) + finding.chars().count() + 9 <= self.style.width;
            let gap = if fits { format!("{line:38} ") } else { format!("{line}\n        ") };
            let _ = writeln!(out, "      {gap}{cross} {finding}");
        }
        if miss.failed.len() > SHOWN {
            let _ = writeln!(out, "      and {} more entries that do not match", miss.failed.len() - SHOWN);
        }
        let tick = self.style.paint(Tone::Good, "✓");
        let matched = [miss.peer.map(Entry::Peer), miss.port.map(Entry::Port)];
        for entry in matched.into_iter().flatten() {
            let _ = writeln!(out, "      {:38} {tick}", entry.path(miss.direction));
        }
        out
    }

    /// The single answers, where they differ.
    fn pairs(&self) -> String {
        const PAIRS: usize = 8;
        let pairs = &self.explanation.pairs;
        if pairs.iter().all(|pair| pair.verdict == self.explanation.verdict) {
            return String::new();
        }
        let mut out = "\n".to_owned();
        // What is rarer is what a reader looks for.
        let count = |answer| pairs.iter().filter(|pair| pair.verdict == answer).count();
        let mut sorted: Vec<_> = pairs.iter().collect();
        sorted.sort_by_key(|pair| count(pair.verdict));
        for pair in sorted.into_iter().take(PAIRS) {
            let word = self.style.paint(tone(pair.verdict), &format!("{:8}", pair.verdict));
            let on = match &pair.asked {
                Asked::One(transport, Some(port), _) => format!("  {} {port}", transport.name()),
                Asked::One(transport, None, _) => format!("  {}", transport.name()),
                Asked::Many(_) => String::new(),
            };
            let _ = writeln!(out, "  {word} {} → {}{on}", pair.source, pair.destination);
        }
        if pairs.len() > PAIRS {
            let _ = writeln!(out, "  and {} more pairs (-o json has all of them)", pairs.len() - PAIRS);
        }
        out
    }
}

/// `prod/front`, or `prod/deploy/front (3 pods)`.
fn named(written: &str, stands_for: &[String]) -> String {
    match stands_for {
        [] => written.to_owned(),
        [one] if one == written => written.to_owned(),
        [one] => format!("{written} ({one})"),
        many => format!("{written} ({} ends)", many.len()),
    }
}

fn named_all(names: &[String]) -> String {
    match names {
        [] => "it".to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

/// `TCP 80,443; UDP all; other protocols`.
fn ports_words(set: &PortSet) -> String {
    let items = Connections::exactly(set).into_iter().map(|item| match item.protocol {
        "ANY" => "every protocol and port".to_owned(),
        "OTHER" => "ICMP and other protocols".to_owned(),
        protocol => format!("{protocol} {}", item.ports),
    });
    items.collect::<Vec<_>>().join("; ")
}
