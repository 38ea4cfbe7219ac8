//! An Event: what people should look at, on the object that it is about.

use k8s_openapi::jiff::Timestamp;
use policy_model::object::ObjectKey;
use serde_json::{Value, json};
use std::sync::Arc;

/// What an Event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Regarding {
    /// A NetworkPolicy.
    Policy(ObjectKey),
    /// This node.
    Node,
}

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// See [`Regarding`].
    pub regarding: Regarding,
    /// Something is wrong. Otherwise it is news, such as the end of it.
    pub is_warning: bool,
    /// One word for programs, as `kubectl get events` shows it: `NamedPortUnknown`.
    pub reason: String,
    /// For people.
    pub note: String,
}

/// An Event's note may not be longer.
const LONGEST_NOTE: usize = 1024;
/// Of the object's name in the Event's, which may have 253 bytes.
const LONGEST_NAME: usize = 230;

/// How often, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) times: u32,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

impl Event {
    /// A policy that cannot be met.
    #[must_use]
    pub fn policy(key: ObjectKey, reason: &str, note: String) -> Self {
        Self { regarding: Regarding::Policy(key), is_warning: true, reason: reason.into(), note }
    }

    /// Something about this node that is wrong, or right again.
    #[must_use]
    pub fn node(is_warning: bool, reason: &str, note: String) -> Self {
        Self { regarding: Regarding::Node, is_warning, reason: reason.into(), note }
    }

    /// The namespace it belongs in: that of its object, and for a Node the one that the kubelet uses.
    pub(super) fn namespace(&self) -> Arc<str> {
        match &self.regarding {
            Regarding::Policy(key) => key.namespace.clone(),
            Regarding::Node => "default".into(),
        }
    }

    /// The name follows from what is told: however many nodes tell the same of a policy, it is one Event.
    pub(super) fn name(&self, node: &str) -> String {
        let (name, said) = match &self.regarding {
            Regarding::Policy(key) => (&*key.name, format!("{}\n{}", self.reason, self.note)),
            // What is wrong, and its end, are two: each is written at once.
            Regarding::Node => {
                (node, format!("{}{}", self.reason, if self.is_warning { "" } else { "\nNormal" }))
            }
        };
        let name = cut(name, LONGEST_NAME);
        format!("{}.{:016x}", name.trim_end_matches(['.', '-']), hash(&said))
    }

    /// The object for the API server. `uid` is that of the object it is about.
    pub(super) fn to_json(&self, node: &str, uid: Option<&str>, count: Count) -> Value {
        let note = cut(&self.note, LONGEST_NOTE);
        let regarding = match &self.regarding {
            Regarding::Policy(key) => json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "namespace": &*key.namespace, "name": &*key.name, "uid": uid,
            }),
            // As the kubelet does: `kubectl describe node` looks for this.
            Regarding::Node => json!({"apiVersion": "v1", "kind": "Node", "name": node, "uid": node}),
        };
        json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": self.name(node), "namespace": &*self.namespace()},
            "involvedObject": regarding,
            "type": if self.is_warning { "Warning" } else { "Normal" },
            "reason": self.reason,
            "message": note,
            "count": count.times,
            "firstTimestamp": format!("{:.0}", count.first),
            "lastTimestamp": format!("{:.0}", count.last),
            "source": {"component": "palisade", "host": node},
            "reportingComponent": "palisade.dev/policyd",
            "reportingInstance": node,
        })
    }
}

/// The beginning of a text, of at most so many bytes.
fn cut(text: &str, longest: usize) -> &str {
    let end = (0..=longest.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// FNV-1a: the same on every node, today and after an upgrade.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_nodes_tell_of_a_policy_with_one_name() {
        let event = Event::policy(ObjectKey::new("shop", "db"), "NamedPortUnknown", "no pg".into());
        assert_eq!(event.name("w1"), event.name("w2"));
        let other = Event { note: "no http".into(), ..event.clone() };
        assert_ne!(event.name("w1"), other.name("w1"), "two things are two Events");
        let drift = Event::node(true, "TablesRepaired", "3 operations".into());
        assert_ne!(drift.name("w1"), drift.name("w2"));
        assert_eq!(drift.name("w1"), Event { note: "4 operations".into(), ..drift }.name("w1"));
    }

    #[test]
    fn names_and_notes_are_short_enough() {
        let policy = Event::policy(ObjectKey::new("shop", "x".repeat(253)), "A", "é".repeat(2000));
        assert!(policy.name("w1").len() <= 253);
        let now = Timestamp::UNIX_EPOCH;
        let object = policy.to_json("w1", None, Count { times: 1, first: now, last: now });
        assert!(object["message"].as_str().unwrap().len() <= LONGEST_NOTE);
    }
}
