//! What may pass in one state and not in another.

use crate::{
    input::Snapshot,
    matrix::{Connections, End, Granularity, Matrix, Options, Ranges, ports_words},
    style::{Style, Tone},
};
use policy_model::{policy::Direction, portset::PortSet};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv6Addr};

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

/// Every pair that differs, by source and destination. External ranges are as large as the same change holds.
#[must_use]
pub fn diff(
    before: &Snapshot,
    after: &Snapshot,
    granularity: Granularity,
    namespace: Option<&str>,
) -> Vec<Change> {
    // IPv6 ranges of one state only would be taken for gained or lost.
    let speaks_ipv6 = |snapshot: &Snapshot| {
        let of = |direction| Ranges::new(&snapshot.cluster, direction, &[]);
        Direction::BOTH.into_iter().any(|direction| of(direction).starts().iter().any(IpAddr::is_ipv6))
    };
    let cuts = match speaks_ipv6(before) || speaks_ipv6(after) {
        true => vec![Ipv6Addr::UNSPECIFIED.into()],
        false => Vec::new(),
    };
    let options = Options { granularity, namespace: namespace.map(str::to_owned), cuts };
    let [before, after] = [before, after].map(|snapshot| Matrix::new(snapshot, &options));
    let changed = before.changes_to(&after).into_iter();
    changed
        .map(|(source, destination, before, after)| Change { source, destination, before, after })
        .collect()
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
