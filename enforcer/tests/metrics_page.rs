//! `/metrics` as a strict parser of OpenMetrics reads it, and `docs/metrics.md`, which is made from it.

use compiler::ir::{Family, Name};
use enforcer::{
    fitness::{Fact, Mark},
    nft::Counter,
    observe::{described::markdown, metrics::Metrics},
};
use openmetrics_parser::openmetrics::parse_openmetrics;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    time::Duration,
};

/// A name that nft would not let anybody write, and the kernel would.
const ODD: &str = "a\"b\\c\nd";

/// Every metric has a value.
fn filled() -> Metrics {
    let metrics = Metrics::new();
    metrics.observe_latency(Duration::from_millis(3));
    metrics.count_watch_restart("pods");
    metrics.read_bytes("pods").inc_by(7);
    metrics.count_event("written");
    metrics.count_report_failure("events");
    metrics.set_fact(Fact::KubeProxy, Mark::Fail);
    metrics.set_state(3, &compiler::Stats::default(), 0, 0);
    metrics.set_dropped(&counters(&["denied", "in-00ff", "out-00ff", ODD]));
    metrics
}

fn counters(names: &[&str]) -> BTreeMap<(Family, Name), Counter> {
    let counter = |name: &&str| ((Family::Inet, Name::from(*name)), Counter { packets: 5, bytes: 60 });
    names.iter().map(counter).collect()
}

#[test]
fn a_strict_parser_reads_the_page() {
    let metrics = filled();
    let page = metrics.encode().unwrap();
    let parsed = parse_openmetrics(&page).unwrap_or_else(|e| panic!("{e}\n{page}"));
    let families: BTreeSet<&str> = parsed.families.keys().map(String::as_str).collect();
    for metric in metrics.described() {
        let name = metric.name.trim_end_matches("_total").trim_end_matches("_info");
        assert!(families.contains(name), "{name} is not among {families:?}");
    }
    assert_eq!(families.len(), metrics.described().len(), "{families:?}");
    assert!(page.contains(r#"reason="a\"b\\c\nd""#), "label values are escaped:\n{page}");
    assert!(
        page.contains(r#"palisade_denied_packets_total{direction="ingress",program="in-00ff"} 5"#),
        "{page}"
    );
    assert!(page.contains(r#"palisade_node_fact{fact="kube_proxy"} 2"#), "{page}");
}

#[test]
fn a_program_that_is_gone_is_told_no_more() {
    let metrics = filled();
    metrics.set_dropped(&counters(&["denied", "out-00ff"]));
    let page = metrics.encode().unwrap();
    assert!(!page.contains("in-00ff") && page.contains("out-00ff"), "{page}");
}

#[test]
fn the_document_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let made = markdown(Metrics::new().described());
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == made, "docs/metrics.md is not what the code says; run this test with UPDATE_DOCS=1");
}

/// Names that begin as ours do.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let found = text
        .match_indices("palisade_")
        .map(|(at, _)| text[at..].chars().take_while(|&c| is_part(c)).collect());
    found.collect()
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_are_there() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let metrics = Metrics::new();
    let known: BTreeSet<&str> = metrics.described().iter().map(|metric| metric.name.as_str()).collect();
    let histogram = |name: &str| name.strip_suffix("_bucket").is_some_and(|name| known.contains(name));
    for file in ["prometheus/rules.yaml", "grafana/palisade.json"] {
        let text = fs::read_to_string(deploy.join(file)).unwrap();
        let asked = names(&text);
        assert!(asked.len() > 3, "{file}: {asked:?}");
        for name in asked {
            assert!(known.contains(name.as_str()) || histogram(&name), "{file}: {name} is no metric");
        }
    }
    let dashboard: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(deploy.join("grafana/palisade.json")).unwrap()).unwrap();
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 8));
}
