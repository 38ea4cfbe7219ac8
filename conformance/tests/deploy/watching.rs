//! Alerts speak of metrics that policyd has.

use super::deploy;
use std::{collections::BTreeSet, fs};

/// What Prometheus' text format puts behind a name: by kind, and the unit.
const ENDINGS: [&str; 5] = ["_bucket", "_sum", "_count", "_total", "_seconds"];

#[test]
fn every_metric_of_the_alerts_is_registered_by_policyd() {
    let rules = fs::read_to_string(deploy().join("prometheus/rules.yaml")).unwrap();
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let used: BTreeSet<&str> = words.filter_map(|word| word.strip_prefix("palisade_")).collect();
    assert!(used.len() >= 6, "{used:?}");
    let source = fs::read_to_string(deploy().join("../enforcer/src/observe/metrics.rs")).unwrap();
    for name in used {
        let bare = ENDINGS.iter().fold(name, |name, ending| name.strip_suffix(ending).unwrap_or(name));
        assert!(source.contains(&format!("\"{bare}\"")), "palisade_{name} is no metric of policyd");
    }
}
