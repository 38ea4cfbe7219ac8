use super::{
    Report,
    graph::{self, Graph},
    page,
};
use crate::input::{self, Snapshot};
use policy_model::{
    cluster::{Change, Cluster},
    labels::Labels,
    object::{ObjectKey, Pod},
    policy::NetworkPolicy,
    selector::{Requirement, Selector},
};

const MANIFESTS: &str = concat!(
    include_str!("../../tests/data/three-pods.yaml"),
    "---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 5432}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: api, namespace: shop}
spec:
  podSelector: {matchLabels: {app: api}}
  ingress: [{from: [{podSelector: {matchLabels: {app: front}}}]}]
"
);

fn shop() -> Report {
    Report::new(&input::parse("shop.yaml", MANIFESTS, None), "shop".to_owned())
}

/// Names and labels that no API server would take; a report must stand them all the same.
pub(super) fn hostile() -> Snapshot {
    let pod = |name: &str, app: &str| {
        Change::Pod(Pod {
            key: ObjectKey::new("<b>ns", name),
            labels: [("app", app), ("</script>", "<script>window.hacked=1</script>")]
                .into_iter()
                .collect::<Labels>(),
            ips: Default::default(),
            node: None,
            host_network: false,
            terminal: false,
            ports: Vec::new(),
            owner: None,
        })
    };
    let policy = NetworkPolicy {
        key: ObjectKey::new("<b>ns", "\"'><svg onload=window.hacked=2>"),
        pod_selector: Selector::new([Requirement::In("app".into(), ["{{data}}".into()].into())]),
        ingress: Some(Vec::new()),
        egress: None,
    };
    let changes = [
        pod("<img src=x onerror=window.hacked=3>", "{{data}}"),
        pod("</title></style><!--<script>", "b\u{2028}\u{0}"),
        pod("]]>&amp;\"'`${window.hacked=4}", "\\u003c"),
        Change::Policy(policy),
    ];
    Snapshot::of(changes.into_iter().collect::<Cluster>())
}

#[test]
fn distances_and_ways_from_outside() {
    let report = shop();
    let graph = Graph::new(&report);
    let names: Vec<&str> = report.workloads.iter().map(|workload| workload.name.as_str()).collect();
    assert_eq!(names, ["shop/api[Pod]", "shop/db[Pod]", "shop/front[Pod]"]);
    assert_eq!(graph.hops, [Some(2), Some(3), Some(1)]);
    assert_eq!(graph.way(1), [2, 0, 1]);
    assert_eq!(graph.components, 1);
    assert_eq!(report.counts(), [3, 1, 2]);
}

#[test]
fn graphs_in_dot_and_svg() {
    let report = shop();
    insta::assert_snapshot!("dot", graph::dot(&report));
    insta::assert_snapshot!("svg", graph::svg(&Graph::new(&report)));
}

#[test]
fn the_page_has_everything_in_it_and_asks_for_nothing() {
    let html = html(&shop());
    for mark in ["{{", "http://", "https://", "src=", "@import", "fetch(", "url(h"] {
        let beside_namespace = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!beside_namespace.contains(mark), "{mark}");
    }
    assert!(html.contains("default-src 'none'"));
    insta::assert_snapshot!("data", data(&html));
}

fn html(report: &Report) -> String {
    let mut html = Vec::new();
    page::write(report, &mut html).expect("memory takes it");
    String::from_utf8(html).expect("it is UTF-8")
}

/// The data of a page, a value a line.
fn data(html: &str) -> String {
    let start = html.find("id=\"data\">").expect("there is data") + "id=\"data\">".len();
    let end = start + html[start..].find("</script>").expect("it ends");
    let value: serde_json::Value = serde_json::from_str(&html[start..end]).expect("it is JSON");
    format!("{value:#}")
}

#[test]
fn hostile_names_open_no_element() {
    let report = Report::new(&hostile(), "</title><script>window.hacked=5</script>{{data}}".to_owned());
    let html = html(&report);
    assert_eq!(html.matches("<script").count(), 2, "the data and the script, and no other");
    assert_eq!(html.matches("</script>").count(), 2);
    for part in ["<img", "onload=window.hacked=2>", "<svg onload", "<!--", "<b>ns"] {
        assert!(!html.contains(part), "{part}");
    }
    assert_eq!(html.matches("id=\"data\"").count(), 1);
    let data = data(&html);
    assert!(data.contains("<img src=x onerror=window.hacked=3>"), "what is data stays what it is");
    let svg = graph::svg(&Graph::new(&report));
    assert!(!svg.contains("<img") && !svg.contains("<script") && !svg.contains('\u{0}'), "{svg}");
}
