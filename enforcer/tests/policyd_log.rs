//! The log: one span from the first event to the end of its commit, and the revision in each of its lines.

mod support;

use serde_json::Value;
use support::{Node, eventually, pod, shop};

#[test]
fn every_line_of_a_change_has_the_revision_that_it_becomes() {
    let node = Node::new("log");
    node.write("shop.yaml", &shop());
    let running = node.start("--log-format json --verbose");
    node.write("more.yaml", &pod("web-0", "web", "10.244.1.9"));
    eventually("it is committed", || running.log().contains("\"committed\""));
    let log = running.log();
    let parse = |line| serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    let lines: Vec<Value> = log.lines().map(parse).collect();
    let message = |line: &Value| line["fields"]["message"].as_str().unwrap_or_default().to_owned();
    let committed = lines.iter().find(|line| message(line) == "committed").expect("a commit");
    let revision = &committed["fields"]["revision"];
    assert_eq!(revision, 2, "{committed}");

    let of_change: Vec<&Value> = lines.iter().filter(|line| line["span"]["revision"] == *revision).collect();
    assert!(of_change.iter().all(|line| line["span"]["name"] == "change"), "{of_change:?}");
    let first = of_change.first().expect("lines");
    assert!(first["fields"]["change"].as_str().is_some_and(|change| change.contains("web-0")), "{first}");
    for said in ["delta", "commit done", "committed"] {
        assert!(of_change.iter().any(|line| message(line) == said), "{said}: {of_change:?}");
    }
}

#[test]
fn the_same_as_text() {
    let node = Node::new("log-text");
    node.write("shop.yaml", &shop());
    let running = node.start("");
    node.write("more.yaml", &pod("web-0", "web", "10.244.1.9"));
    eventually("it is committed", || {
        running.log().contains("change{revision=2}: committed revision=2 events=1")
    });
}
