//! Who is up to date: what `policyctl status` says.

use super::leases::{Lease, Marks, Report};
use crate::style::{Style, Tone};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fmt};

/// The nodes, and how many of them enforce every policy.
#[derive(Clone, Debug)]
pub struct Status {
    /// The newest policy's resource version; 0 without policies.
    pub policies: u64,
    /// Versions of policyd that are in use.
    pub versions: BTreeSet<String>,
    /// Every node, those that need looking at first.
    pub rows: Vec<Row>,
}

/// One node.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub node: String,
    /// What it is like.
    pub state: State,
    /// Seconds since the oldest change of a policy that is not in force there.
    pub lag: Option<i64>,
    /// What its policyd said last.
    pub report: Option<Report>,
    /// When that was.
    pub renewed: Option<Timestamp>,
    /// Why it is not live, or what else is wrong.
    pub why: Option<String>,
}

/// What a node is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// No policyd has ever said anything there.
    None,
    /// Nothing has been heard for longer than a Lease holds.
    Silent,
    /// The kernel has refused something.
    Refused,
    /// Nothing is in force yet.
    Starting,
    /// A newer policy is not in force there.
    Behind,
    /// Every policy is in force.
    Live,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::None => "no policyd",
            Self::Silent => "silent",
            Self::Refused => "refused",
            Self::Starting => "starting",
            Self::Behind => "behind",
            Self::Live => "live",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Status {
    /// Of what a cluster says at a time.
    #[must_use]
    pub fn of(marks: &Marks, now: Timestamp) -> Self {
        let policies = marks.policies.iter().map(|mark| mark.version).max().unwrap_or(0);
        let row = |node: &String| {
            let lease = marks.leases.iter().find(|lease| lease.node == *node);
            lease.map_or_else(|| Row::without(node), |lease| Row::of(lease, marks, now))
        };
        let mut rows: Vec<Row> = marks.nodes.iter().map(row).collect();
        rows.sort_by(|a, b| (a.state, &a.node).cmp(&(b.state, &b.node)));
        let versions = rows.iter().filter_map(|row| Some(row.report.as_ref()?.version.clone()));
        Self { policies, versions: versions.filter(|version| !version.is_empty()).collect(), rows }
    }

    /// Nodes on which every policy is in force.
    #[must_use]
    pub fn live(&self) -> usize {
        self.rows.iter().filter(|row| row.state == State::Live).count()
    }

    /// Whether every policy is in force everywhere.
    #[must_use]
    pub fn is_all_live(&self) -> bool {
        self.live() == self.rows.len()
    }
}

impl Row {
    fn without(node: &str) -> Self {
        let why = "no policyd has reported from it".to_owned();
        let node = node.to_owned();
        Self { node, state: State::None, lag: None, report: None, renewed: None, why: Some(why) }
    }

    fn of(lease: &Lease, marks: &Marks, now: Timestamp) -> Self {
        let age = lease.renewed.map(|renewed| now.as_second() - renewed.as_second());
        let mut row = Self {
            node: lease.node.clone(),
            state: State::Live,
            lag: None,
            report: lease.report.clone().ok(),
            renewed: lease.renewed,
            why: lease.report.clone().err(),
        };
        let Some(report) = &row.report else {
            row.state = State::None;
            return row;
        };
        let in_force: u64 = report.policies.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0);
        let missing: Vec<_> = marks.policies.iter().filter(|mark| mark.version > in_force).collect();
        if !missing.is_empty() {
            let oldest = missing.iter().filter_map(|mark| mark.changed).min();
            row.lag = oldest.map(|oldest| (now.as_second() - oldest.as_second()).max(0));
            row.state = State::Behind;
            let plural = if missing.len() == 1 { "policy" } else { "policies" };
            row.why = Some(format!("{} newer {plural} not in force yet", missing.len()));
        }
        match &*report.state {
            "live" => {}
            "refused" => row.state = State::Refused,
            _ => row.state = State::Starting,
        }
        if age.is_none_or(|age| age > lease.holds) {
            row.state = State::Silent;
            row.why = Some(match age {
                Some(age) => format!("nothing heard for {}", span(age)),
                None => "nothing heard".to_owned(),
            });
        }
        if let Some(error) = &report.last_error {
            row.why = Some(match row.why {
                Some(why) => format!("{why}; last error: {error}"),
                None => format!("last error: {error}"),
            });
        }
        row
    }
}

/// `38 s`, `4 min`, `2 h`, `3 d`.
fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// For people.
#[must_use]
pub fn text(status: &Status, style: Style) -> String {
    let version = match status.versions.iter().collect::<Vec<_>>()[..] {
        [] => "Palisade".to_owned(),
        [one] => format!("Palisade v{one}"),
        _ => {
            let all: Vec<String> = status.versions.iter().map(|version| format!("v{version}")).collect();
            format!("Palisade {}", all.join(", "))
        }
    };
    let (live, all) = (status.live(), status.rows.len());
    let tone = if status.is_all_live() { Tone::Good } else { Tone::Unsure };
    let live = style.paint(tone, &format!("live on {live}/{all} nodes"));
    let policies = match status.policies {
        0 => "no policies".to_owned(),
        version => format!("policies at resourceVersion {version}"),
    };
    let mut out = format!("{version}   {policies}   {live}\n");
    let width = status.rows.iter().map(|row| row.node.chars().count()).max().unwrap_or(0).max(4);
    let head =
        format!("{:width$}  STATE       REVISION  LAG     PODS  ISOLATED  PROGRAMS  DROPS/min", "NODE");
    out += &style.paint(Tone::Faint, head.trim_end());
    out += "\n";
    for row in &status.rows {
        let state = style.paint(row.tone(), &format!("{:10}", row.state));
        let lag = row.lag.map_or_else(|| if row.state == State::Live { "0 s" } else { "?" }.to_owned(), span);
        let mut line = format!("{:width$}  {state}", row.node);
        if let Some(report) = &row.report {
            line += &format!(
                "  {:<8}  {lag:<6}  {:<4}  {:<8}  {:<8}  {}",
                report.revision, report.pods, report.isolated, report.programs, report.dropped_per_minute,
            );
        }
        out += line.trim_end();
        out += "\n";
        if let Some(why) = &row.why {
            out += &crate::explain::wrapped("  ", why, style.width);
        }
    }
    out
}

impl Row {
    fn tone(&self) -> Tone {
        match self.state {
            State::Live => Tone::Good,
            State::Behind | State::Starting => Tone::Unsure,
            State::None | State::Silent | State::Refused => Tone::Bad,
        }
    }
}

/// For programs.
#[must_use]
pub fn json(status: &Status) -> Value {
    json!({
        "kind": "Status",
        "policies": status.policies.to_string(),
        "versions": status.versions,
        "nodes": status.rows.len(),
        "live": status.live(),
        "rows": status.rows.iter().map(row_json).collect::<Vec<_>>(),
    })
}

fn row_json(row: &Row) -> Value {
    let mut value = json!({
        "node": row.node,
        "state": row.state.word(),
        "lagSeconds": if row.state == State::Live { Some(0) } else { row.lag },
        "renewed": row.renewed.map(|time| time.to_string()),
        "why": row.why,
    });
    if let Some(report) = &row.report {
        value["version"] = json!(report.version);
        value["revision"] = json!(report.revision);
        value["policies"] = json!(report.policies);
        value["since"] = json!(report.since.map(|time| time.to_string()));
        value["lastError"] = json!(report.last_error);
        value["pods"] = json!(report.pods);
        value["isolated"] = json!(report.isolated);
        value["programs"] = json!(report.programs);
        value["droppedPerMinute"] = json!(report.dropped_per_minute);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::{super::leases::Mark, *};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn lease(node: &str, renewed: i64, report: &str) -> Lease {
        let report = serde_json::from_str(report).map_err(|error| error.to_string());
        Lease { node: node.to_owned(), renewed: Some(at(renewed)), holds: 60, report }
    }

    fn cluster() -> Marks {
        let report = |state: &str, policies: u32, error: &str| {
            format!(
                r#"{{"version": "0.1.0", "revision": 912, "policies": "{policies}", "state": "{state}", "since": "2026-11-27T05:00:00Z",
                    "lastError": {error}, "pods": 61, "isolated": 44, "programs": 12, "droppedPerMinute": 3}}"#
            )
        };
        Marks {
            nodes: ["w1", "w17", "w2", "w3", "w4", "cp"].map(str::to_owned).to_vec(),
            leases: vec![
                lease("w1", 95, &report("live", 184_467, "null")),
                lease("w17", 99, &report("refused", 99_999, r#""set in-40 refused: no buffer space""#)),
                lease("w2", 100, &report("live", 99_999, "null")),
                lease("w3", 10, &report("live", 184_467, "null")),
                lease("w4", 100, &report("starting", 0, "null").replace(r#""0""#, "null")),
                lease("gone", 100, &report("live", 184_467, "null")),
            ],
            policies: vec![
                Mark { version: 99_999, changed: Some(at(0)) },
                Mark { version: 184_467, changed: Some(at(62)) },
            ],
        }
    }

    #[test]
    fn who_is_behind_and_why_comes_first() {
        let status = Status::of(&cluster(), at(100));
        insta::assert_snapshot!(text(&status, Style::plain()));
        assert!(!status.is_all_live());
    }

    #[test]
    fn programs_get_the_same() {
        let json = json(&Status::of(&cluster(), at(100)));
        assert_eq!((json["nodes"].as_u64(), json["live"].as_u64()), (Some(6), Some(1)));
        let of = |node: &str| {
            json["rows"].as_array().unwrap().iter().find(|row| row["node"] == node).unwrap().clone()
        };
        assert_eq!(of("w2")["state"], "behind", "versions are numbers: 99999 is less than 184467");
        assert_eq!(of("w2")["lagSeconds"], 38);
        assert_eq!(of("w1")["lagSeconds"], 0);
        assert_eq!(of("cp")["state"], "no policyd");
    }

    #[test]
    fn without_policies_a_node_that_reports_is_live() {
        let marks = Marks { policies: Vec::new(), ..cluster() };
        let status = Status::of(&marks, at(100));
        assert_eq!(status.rows.iter().filter(|row| row.state == State::Live).count(), 2, "w1 and w2");
    }
}
