//! What may pass in one state and not in another.

use crate::{
    input::Snapshot,
    matrix::{Connections, End, Granularity, Matrix, Options, ports_words},
    style::{Style, Tone},
};
use policy_model::{portset::PortSet, reach::AddressRange};
use serde_json::{Value, json};
use std::{collections::BTreeSet, net::IpAddr};

/// A pair between which something else may pass after than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Who opens the connections.
    pub source: End,
    /// Whom to.
    pub destination: End,
    /// What may pass before; nothing if the pair is gained.
    pub before: PortSet,
    /// What may pass after; nothing if the pair is lost.
    pub after: PortSet,
}

impl Change {
    /// What may pass after and not before.
    #[must_use]
    pub fn gained(&self) -> PortSet {
        self.after.difference(&self.before)
    }

    /// What may pass before and not after.
    #[must_use]
    pub fn lost(&self) -> PortSet {
        self.before.difference(&self.after)
    }
}

/// Every pair that differs, by source and destination. External ranges are cut where either state's policies cut them, and put
/// together again where the same changes.
#[must_use]
pub fn diff(
    before: &Snapshot,
    after: &Snapshot,
    granularity: Granularity,
    namespace: Option<&str>,
) -> Vec<Change> {
    let options = |cuts| Options { granularity, namespace: namespace.map(str::to_owned), cuts };
    // IPv6 ranges of one state only would be taken for gained or lost.
    let cuts = |snapshot| Matrix::new(snapshot, &options(Vec::new())).cuts();
    let cuts: Vec<IpAddr> = cuts(before).into_iter().chain(cuts(after)).collect();
    let [before, after] = [before, after].map(|snapshot| Matrix::new(snapshot, &options(cuts.clone())));
    let [before, after] = [&before, &after].map(Matrix::by_ends);
    let ends: BTreeSet<&(End, End)> = before.keys().chain(after.keys()).collect();
    let nothing = PortSet::none();
    let changes = ends.into_iter().filter_map(|ends| {
        let [before, after] = [&before, &after].map(|rows| *rows.get(ends).unwrap_or(&&nothing));
        let (source, destination) = ends.clone();
        let change = Change { source, destination, before: before.clone(), after: after.clone() };
        (change.before != change.after).then_some(change)
    });
    merged(changes.collect())
}

/// Neighbouring ranges with the same change as one.
fn merged(changes: Vec<Change>) -> Vec<Change> {
    let mut merged: Vec<Change> = Vec::new();
    // Changes of one pair of an inside end and neighbouring ranges follow each other in this order.
    let mut changes = changes;
    changes.sort_by(|a, b| order(a).cmp(&order(b)));
    for change in changes {
        let joined = merged.last().and_then(|last| join(last, &change));
        match joined {
            Some(joined) => {
                merged.pop();
                merged.push(joined);
            }
            None => merged.push(change),
        }
    }
    merged.sort_by(|a, b| (&a.source, &a.destination).cmp(&(&b.source, &b.destination)));
    merged
}

/// The inside end first.
fn order(change: &Change) -> (&End, bool, &End) {
    match (&change.source, &change.destination) {
        (End::Outside(_), inside) => (inside, true, &change.source),
        (inside, _) => (inside, false, &change.destination),
    }
}

fn join(a: &Change, b: &Change) -> Option<Change> {
    if (&a.before, &a.after) != (&b.before, &b.after) {
        return None;
    }
    match ((&a.source, &a.destination), (&b.source, &b.destination)) {
        ((End::Outside(lo), inside), (End::Outside(hi), same)) if inside == same => {
            Some(Change { source: End::Outside(joined(*lo, *hi)?), ..a.clone() })
        }
        ((inside, End::Outside(lo)), (same, End::Outside(hi))) if inside == same => {
            Some(Change { destination: End::Outside(joined(*lo, *hi)?), ..a.clone() })
        }
        _ => None,
    }
}

fn joined(a: AddressRange, b: AddressRange) -> Option<AddressRange> {
    let follows = match (a.hi, b.lo) {
        (IpAddr::V4(hi), IpAddr::V4(lo)) => hi.to_bits().checked_add(1) == Some(lo.to_bits()),
        (IpAddr::V6(hi), IpAddr::V6(lo)) => hi.to_bits().checked_add(1) == Some(lo.to_bits()),
        _ => false,
    };
    follows.then_some(AddressRange { lo: a.lo, hi: b.hi })
}

/// Changes for people, with a last line that counts them.
#[must_use]
pub fn text(changes: &[Change], style: Style) -> String {
    let mut text = String::new();
    let rows: Vec<_> =
        changes.iter().map(|change| (change, [end(&change.source), end(&change.destination)])).collect();
    let width = |i: usize| rows.iter().map(|(_, ends)| ends[i].chars().count()).max().unwrap_or(0);
    let (from, to) = (width(0), width(1));
    let (mut gained, mut lost, mut changed) = (0, 0, 0);
    for (change, [source, destination]) in &rows {
        let (sign, tone, what) = match (change.before.is_empty(), change.after.is_empty()) {
            (true, _) => {
                gained += 1;
                ('+', Tone::Bad, ports_words(&change.after))
            }
            (false, true) => {
                lost += 1;
                ('-', Tone::Good, ports_words(&change.before))
            }
            (false, false) => {
                changed += 1;
                let tone = if change.gained().is_empty() { Tone::Good } else { Tone::Bad };
                ('~', tone, format!("{} → {}", ports_words(&change.before), ports_words(&change.after)))
            }
        };
        text += &style.paint(tone, &format!("{sign} {source:from$} → {destination:to$}  {what}"));
        text += "\n";
    }
    text + &format!("{gained} gained, {lost} lost, {changed} changed\n")
}

/// Ranges as blocks where they are blocks.
fn end(end: &End) -> String {
    match end {
        End::Inside(name) => name.to_string(),
        End::Outside(range) => range.to_string(),
    }
}

/// Changes for programs.
#[must_use]
pub fn json(changes: &[Change]) -> Value {
    let row = |change: &Change, ports: &PortSet| {
        let (source, destination) = (change.source.to_string(), change.destination.to_string());
        json!({ "source": source, "destination": destination, "connections": Connections::of(ports) })
    };
    let (mut gained, mut lost, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for change in changes {
        match (change.before.is_empty(), change.after.is_empty()) {
            (true, _) => gained.push(row(change, &change.after)),
            (false, true) => lost.push(row(change, &change.before)),
            (false, false) => changed.push(json!({
                "source": change.source.to_string(),
                "destination": change.destination.to_string(),
                "before": Connections::of(&change.before),
                "after": Connections::of(&change.after),
            })),
        }
    }
    json!({ "kind": "Diff", "gained": gained, "lost": lost, "changed": changed })
}

/// `change,source,destination,before,after` with a head line (RFC 4180).
#[must_use]
pub fn csv(changes: &[Change]) -> String {
    let rows = changes.iter().map(|change| cells(change).map(|cell| format!("\"{cell}\"")).join(",") + "\n");
    std::iter::once("change,source,destination,before,after\n".to_owned()).chain(rows).collect()
}

/// A table in Markdown.
#[must_use]
pub fn markdown(changes: &[Change]) -> String {
    let rows = changes.iter().map(|change| format!("| {} |\n", cells(change).join(" | ")));
    let head = "| change | from | to | before | after |\n| --- | --- | --- | --- | --- |\n".to_owned();
    std::iter::once(head).chain(rows).collect()
}

fn cells(change: &Change) -> [String; 5] {
    let what = match (change.before.is_empty(), change.after.is_empty()) {
        (true, _) => "gained",
        (false, true) => "lost",
        (false, false) => "changed",
    };
    let ports = |set: &PortSet| if set.is_empty() { "nothing".to_owned() } else { ports_words(set) };
    [
        what.to_owned(),
        end(&change.source),
        end(&change.destination),
        ports(&change.before),
        ports(&change.after),
    ]
}
