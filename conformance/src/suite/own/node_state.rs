//! What of a node an installation may have changed: read before and after, and compared.

use super::case::Fault;
use crate::cluster::ClusterNode;
use std::collections::BTreeMap;

/// The questions: a name, and a shell command whose lines are the answer. Left out is what changes by itself: counters, and
/// kube-proxy's tables.
const QUESTIONS: [(&str, &str); 5] = [
    (
        "sysctl",
        "sysctl --all --pattern '^net[.]' 2>/dev/null | grep -Ev 'conntrack_count|max_entries|[.]random|veth|ip_local_port|tcp_fastopen_key'",
    ),
    (
        "nft",
        "nft --stateless list tables | grep -v kube-proxy | sort | while read -r table family name; do nft --stateless list table $family $name 2>/dev/null | sed \"s/^/$family $name: /\"; done",
    ),
    (
        "link",
        "ip -oneline link | sed -E 's/^[0-9]+: //; s/ (state|qlen) [^ ]+//g'; for bridge in /sys/class/net/*/bridge; do if [ -d $bridge ]; then grep -H . $bridge/nf_call_*; fi; done",
    ),
    (
        "file",
        "find /etc /opt /run /usr/lib/modules-load.d /var/lib -xdev \\( -path /var/lib/kubelet -o -path /var/lib/containerd -o -path /var/lib/cni -o -path '/run/containerd*' -o -path /run/netns -o -path '*/palisade-lab' \\) -prune -o -printf '%M %u %p %l\\n' 2>/dev/null | sort",
    ),
    ("ipset", "ipset list -name"),
];

/// Lines by what was asked.
pub(super) struct NodeState(BTreeMap<&'static str, Vec<String>>);

impl NodeState {
    pub(super) fn of(node: &ClusterNode) -> Result<Self, Fault> {
        let mut answers = BTreeMap::new();
        for (name, question) in QUESTIONS {
            let answer = node.exec(&["sh", "-c", question])?;
            answers.insert(name, answer.lines().map(str::to_owned).collect());
        }
        Ok(Self(answers))
    }

    /// How many lines there are.
    pub(super) fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// What differs: lines that have gone, with `-`, and lines that have come, with `+`.
    pub(super) fn differences(&self, later: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for (name, lines) in &self.0 {
            let now = later.0.get(name).map_or(&[][..], Vec::as_slice);
            let gone = lines.iter().filter(|line| !now.contains(line)).map(|line| format!("-{name} {line}"));
            let come = now.iter().filter(|line| !lines.contains(line)).map(|line| format!("+{name} {line}"));
            found.extend(gone.chain(come));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_gone_and_what_has_come_is_told() {
        let of = |lines: &[&str]| {
            NodeState([("file", lines.iter().map(|line| (*line).to_owned()).collect())].into())
        };
        assert_eq!(of(&["a", "b"]).differences(&of(&["b", "c"])), ["-file a", "+file c"]);
        assert!(of(&["a"]).differences(&of(&["a"])).is_empty());
    }
}
