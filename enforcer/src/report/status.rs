//! A node's state as others read it: `policyctl status` by its Lease's annotation.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// Whether what is wanted is in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// The source has not told everything yet; what an earlier run has left is in force.
    #[default]
    Starting,
    /// It is.
    Live,
    /// The kernel does not take all of it, or cannot be reached.
    Refused,
}

impl State {
    /// As the annotation says it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Live => "live",
            Self::Refused => "refused",
        }
    }
}

/// One node's state at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Number of the ruleset in force; 0 before the first.
    pub revision: u64,
    /// The API server's version up to which NetworkPolicies are in force here.
    pub policies: Option<u64>,
    /// See [`State`].
    pub state: State,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// What does not work now.
    pub last_error: Option<String>,
    /// Pods of this node.
    pub pods: usize,
    /// How many of them are isolated in a direction or in both.
    pub isolated: usize,
    /// Programs in the kernel.
    pub programs: usize,
    /// Packets dropped since the tables were made; `None` where the kernel does not tell.
    pub dropped: Option<u64>,
    /// Nodes of the cluster, which all tell of themselves. Not part of the annotation.
    pub nodes: usize,
}

impl Status {
    /// The annotation. `dropped` is a rate here: packets a minute.
    #[must_use]
    pub fn to_json(&self, dropped_per_minute: u64) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "revision": self.revision,
            "policies": self.policies.map(|version| version.to_string()),
            "state": self.state.word(),
            "since": format!("{:.0}", self.since),
            "lastError": self.last_error,
            "pods": self.pods,
            "isolated": self.isolated,
            "programs": self.programs,
            "droppedPerMinute": dropped_per_minute,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotation_is_what_others_read() {
        let status = Status {
            revision: 912,
            policies: Some(184_467),
            state: State::Live,
            since: "2026-11-27T05:00:00.123Z".parse().unwrap(),
            last_error: None,
            pods: 61,
            isolated: 44,
            programs: 12,
            dropped: Some(7),
            nodes: 3,
        };
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            status.to_json(3).to_string(),
            format!(
                r#"{{"version":"{version}","revision":912,"policies":"184467","state":"live","since":"2026-11-27T05:00:00Z","lastError":null,"pods":61,"isolated":44,"programs":12,"droppedPerMinute":3}}"#
            )
        );
    }
}
