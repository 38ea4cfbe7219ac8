//! What was counted.

use super::{expect::Must, round::Round, streams};
use std::{collections::BTreeMap, fmt, time::Duration};

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// Datagrams of a stream.
    Stream {
        /// Which stream.
        what: String,
        /// What should have become of them.
        must: Must,
        /// Before the round's event, or while it went on.
        when: &'static str,
        /// How many, and when.
        ticks: String,
    },
    /// A new flow that is not as the model says.
    Question(String),
}

impl Broken {
    /// Whether it is about datagrams of which this should have become.
    pub(super) fn is(&self, of: Must) -> bool {
        matches!(self, Self::Stream { must, .. } if *must == of)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream { what, must, when, ticks } => {
                let became = if *must == Must::Pass { "lost" } else { "passed against policy" };
                write!(f, "{what}: {became} {when}: {ticks}")
            }
            Self::Question(text) => f.write_str(text),
        }
    }
}

/// The counts of a run.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Rounds by what they were.
    pub(super) kinds: BTreeMap<&'static str, u64>,
    /// Datagrams that had to arrive, and those of them that did not.
    pub(super) must_pass: [u64; 2],
    /// Datagrams that had to be dropped, and those of them that arrived.
    pub(super) must_drop: [u64; 2],
    /// New flows that came about, and that did not.
    pub(super) asked: [u64; 2],
    /// Repairs of damaged tables: how many, all of their time, the longest.
    pub(super) repairs: (u64, Duration, Duration),
    /// How often the kernel has killed a `policyd` for want of memory.
    pub(super) killed_for_memory: u64,
    /// Datagrams against policy while tables were damaged.
    pub(super) passed_while_damaged: u64,
    /// Permitted datagrams lost while tables were damaged.
    pub(super) lost_while_damaged: u64,
    /// Transactions that the kernel has refused.
    pub(super) refused: u64,
    /// Permitted datagrams lost while it did.
    pub(super) lost_while_refused: u64,
    /// Lists that were read anew because a watch was too old.
    pub relisted: u64,
    /// How often a daemon has said that its state cannot be written.
    pub unwritten: u64,
    /// Promises that were broken, in words.
    pub broken: Vec<String>,
}

impl Tally {
    pub(super) fn rounds(&mut self, round: &Round) {
        let changes = match round {
            Round::Change(_) => Some("objects changed"),
            Round::During(..) => Some("objects changed and something broke"),
            Round::Refused(..) => Some("objects changed and the kernel refused something"),
            Round::Served(_, fault, _) => Some(fault.name()),
            Round::Replace(_) => Some("pods replaced on their addresses"),
            Round::Fault(_) => None,
        };
        let fault = round.fault().map(|fault| fault.kind.name());
        for kind in [changes, fault].into_iter().flatten() {
            *self.kinds.entry(kind).or_default() += 1;
        }
    }

    pub(super) fn datagrams(&mut self, must: Must, outcome: &streams::Outcome) {
        let [arrived, lost] = [outcome.arrived.len() as u64, outcome.lost.len() as u64];
        match must {
            Must::Pass => {
                self.must_pass[0] += arrived + lost;
                self.must_pass[1] += lost;
            }
            Must::Drop => {
                self.must_drop[0] += arrived + lost;
                self.must_drop[1] += arrived;
            }
            Must::Either => {}
        }
    }

    pub(super) fn asked(&mut self, passed: bool) {
        self.asked[usize::from(!passed)] += 1;
    }

    pub(super) fn repaired(&mut self, took: Duration) {
        let (count, all, longest) = &mut self.repairs;
        *count += 1;
        *all += took;
        *longest = took.max(*longest);
    }

    /// Rows of a table: what, and how much.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, String)> {
        let row = |what: &str, value: String| (what.to_owned(), value);
        let mut rows: Vec<_> = self
            .kinds
            .iter()
            .map(|(kind, count)| row(&format!("rounds: {kind}"), count.to_string()))
            .collect();
        let (repairs, all, longest) = self.repairs;
        let mean = all.checked_div(u32::try_from(repairs).unwrap_or(u32::MAX)).unwrap_or_default();
        rows.extend([
            row("datagrams that had to arrive", self.must_pass[0].to_string()),
            row("of them lost", self.must_pass[1].to_string()),
            row("datagrams that had to be dropped", self.must_drop[0].to_string()),
            row("of them passed", self.must_drop[1].to_string()),
            row("new flows that came about, as the model says", self.asked[0].to_string()),
            row("new flows that did not, as the model says", self.asked[1].to_string()),
            row("repairs of damaged tables", repairs.to_string()),
            row("mean and longest repair", format!("{} ms, {} ms", mean.as_millis(), longest.as_millis())),
            row("datagrams against policy until then", self.passed_while_damaged.to_string()),
            row("permitted datagrams lost until then", self.lost_while_damaged.to_string()),
        ]);
        if self.killed_for_memory > 0 {
            rows.push(row(
                "policyd killed by the kernel for want of memory",
                self.killed_for_memory.to_string(),
            ));
        }
        if self.refused > 0 {
            rows.push(row("transactions that the kernel refused", self.refused.to_string()));
            rows.push(row(
                "permitted datagrams lost until it took them",
                self.lost_while_refused.to_string(),
            ));
        }
        if self.relisted > 0 {
            rows.push(row("lists read anew, a watch being too old", self.relisted.to_string()));
        }
        if self.unwritten > 0 {
            rows.push(row("states on disk that could not be written", self.unwritten.to_string()));
        }
        rows
    }

    /// Everything that was compared and held.
    #[must_use]
    pub fn held(&self) -> u64 {
        let [must_pass, lost] = self.must_pass;
        let [must_drop, passed] = self.must_drop;
        let asked: u64 = self.asked.iter().sum();
        (must_pass - lost) + (must_drop - passed) + asked
    }
}
