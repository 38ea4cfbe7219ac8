//! What a text holds, what is wrong with it and where: each problem as a person would see it.

use super::*;
use crate::field::FieldPath;
use proptest::{collection::vec, prelude::*, sample::select};

const DB: &str = "\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: db
  namespace: prod
spec:
  podSelector:
    matchLabels: {app: db}
  ingress:
  - from:
    - podSelector:
        matchLabels:
          app: api
    ports:
    - port: 5432
";

/// The problems of a text, as `line:column: headline (help)`.
fn problems(text: &str) -> Vec<String> {
    let parsed = parse("db.yaml", text);
    let help = |problem: &Problem| problem.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    let show =
        |p: &Problem| format!("{}:{}: {}{}", p.location.line, p.location.column, p.headline(), help(p));
    parsed.problems.iter().map(show).collect()
}

fn names(text: &str) -> Vec<String> {
    parse("db.yaml", text).objects.iter().map(|object| object.value.to_string()).collect()
}

/// One line: a change of the policy above, and the problems that it makes.
macro_rules! refused {
    ($($name:ident: $from:expr => $to:expr, $problems:expr;)*) => {$(
        #[test]
        fn $name() {
            assert!(DB.contains($from));
            let text = DB.replacen($from, $to, 1);
            assert_eq!(problems(&text), $problems, "{text}");
            assert!(parse("db.yaml", &text).objects.is_empty());
        }
    )*};
}

refused! {
    misspelt_selector: "podSelector:\n    matchLabels: {" => "podSelecter:\n    matchLabels: {",
        ["7:3: NetworkPolicy prod/db: spec.podSelecter: there is no such field (did you mean podSelector?)"];
    misspelt_top_level: "spec:" => "spek:",
        ["6:1: NetworkPolicy prod/db: spek: there is no such field (did you mean spec?)"];
    field_of_the_other_direction: "- from:" => "- to:",
        ["10:5: NetworkPolicy prod/db: spec.ingress[0].to: there is no such field (the fields here are from, ports)"];
    ports_indented_too_deep: "    ports:\n    - port: 5432" => "      ports:\n      - port: 5432",
        ["14:7: NetworkPolicy prod/db: spec.ingress[0].from[0].ports: there is no such field \
          (ports is a field of spec.ingress[0]: check the indentation)"];
    policy_types_outside_of_spec: "spec:" => "policyTypes: [Ingress]\nspec:",
        ["6:1: NetworkPolicy prod/db: policyTypes: there is no such field (the fields here are apiVersion, kind, metadata, spec, status)"];
    unknown_metadata: "  namespace: prod" => "  namespace: prod\n  nam: x",
        ["6:3: NetworkPolicy prod/db: metadata.nam: there is no such field (did you mean name?)"];
    key_twice: "    ports:" => "    from: []\n    ports:",
        ["14:5: NetworkPolicy prod/db: spec.ingress[0]: the key from is there twice (it is on line 10 too; one of them would be lost)"];
    label_that_is_a_boolean: "app: api" => "app: on",
        ["13:16: NetworkPolicy prod/db: spec.ingress[0].from[0].podSelector.matchLabels.app: on is a boolean, \
          and a text is needed (put it in quotes: \"on\")"];
    label_that_is_a_number: "app: api" => "app: 1.10",
        ["13:16: NetworkPolicy prod/db: spec.ingress[0].from[0].podSelector.matchLabels.app: 1.10 is a number, \
          and a text is needed (put it in quotes: \"1.10\")"];
    label_without_a_value: "app: api" => "app:",
        ["13:14: NetworkPolicy prod/db: spec.ingress[0].from[0].podSelector.matchLabels.app: the value is missing (write \"\" for an empty one)"];
    port_that_is_a_boolean: "port: 5432" => "port: yes",
        ["15:13: NetworkPolicy prod/db: spec.ingress[0].ports[0].port: yes is a boolean, and a whole number or a name is needed"];
    map_for_a_list: "  - from:\n    - podSelector:" => "    from:\n    - podSelector:",
        ["10:5: NetworkPolicy prod/db: spec.ingress: it is a map, and a list is needed"];
    empty_item: "  - from:" => "  -\n  - from:",
        ["10:4: NetworkPolicy prod/db: spec.ingress[0]: the item is empty (write {} for an item without conditions, or leave it out)"];
    end_port_below_port: "- port: 5432" => "- port: 80\n      endPort: 79",
        ["16:16: NetworkPolicy prod/db: spec.ingress[0].ports[0].endPort: 79 is less than port 80 (a range runs from port to endPort, both included)"];
    several_at_once: "    - port: 5432" => "    - {port: 0}\n    - {protocol: tcp}",
        ["15:14: NetworkPolicy prod/db: spec.ingress[0].ports[0].port: 0 is not a port number (ports are 1 to 65535)",
         "16:18: NetworkPolicy prod/db: spec.ingress[0].ports[1].protocol: \"tcp\" is not a protocol that a port can have (use TCP, UDP or SCTP, in capital letters)"];
    old_version: "networking.k8s.io/v1" => "extensions/v1beta1",
        ["1:13: NetworkPolicy prod/db: apiVersion: extensions/v1beta1 NetworkPolicy is not served by any cluster of today (use networking.k8s.io/v1)"];
    misspelt_kind: "NetworkPolicy" => "NetworkPolcy",
        ["2:7: NetworkPolcy prod/db: kind: there is no kind NetworkPolcy in networking.k8s.io/v1 (did you mean NetworkPolicy?)"];
    no_kind: "kind: NetworkPolicy\n" => "",
        ["1:1: the object has no kind (every Kubernetes object says its apiVersion and kind)"];
    no_name: "  name: db\n" => "",
        ["3:1: NetworkPolicy prod/(without a name): metadata.name: the object has no name"];
}

#[test]
fn a_good_policy_is_read_with_the_place_of_every_field() {
    let parsed = parse("policies/db.yaml", DB);
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    let [policy] = &parsed.objects[..] else { panic!("one object") };
    assert_eq!(policy.value.to_string(), "NetworkPolicy prod/db");
    assert_eq!(policy.location.to_string(), "policies/db.yaml:1:1");
    let rule = FieldPath::root().field("spec").field("ingress").index(0);
    let peer = rule.field("from").index(0);
    for (path, place, text) in [
        (rule.clone(), "10:5", "from"),
        (peer.clone(), "11:7", "podSelector"),
        (peer.field("podSelector").field("matchLabels"), "12:9", "matchLabels"),
        (peer.field("podSelector").field("matchLabels").field("app"), "13:16", "api"),
        (rule.field("ports").index(0).field("port"), "15:13", "5432"),
        (rule.field("ports").index(0).field("endPort"), "15:7", "port"),
        (rule.field("ports").index(7), "14:5", "ports"),
    ] {
        let location = policy.field(&path);
        assert_eq!(location.to_string(), format!("policies/db.yaml:{place}"), "{path}");
        assert_eq!(&DB[location.span], text, "{path}");
    }
}

#[test]
fn one_broken_document_hides_no_other() {
    let text = format!(
        "{DB}---\nbroken: [1, 2\n---\n\"unclosed\n---\n{}---\n- a list\n---\n# nothing\n",
        DB.replace("name: db", "name: b")
    );
    assert_eq!(names(&text), ["NetworkPolicy prod/db", "NetworkPolicy prod/b"]);
    let problems = parse("f", &text).problems;
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert!(problems.iter().all(|problem| problem.object.is_none()));
}

#[test]
fn one_broken_item_of_a_list_hides_no_other() {
    let text = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: a}}
- {apiVersion: v1, kind: Namespace, metadata: {name: B}}
- {apiVersion: v1, kind: Namespace, metadata: {name: c, name: d}}
- 7
- {apiVersion: v1, kind: ConfigMap, metadata: {name: e}}
- {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Node, metadata: {name: w1}}]}
";
    let parsed = parse("f", text);
    assert_eq!(names(text), ["Namespace a", "Node w1"]);
    assert_eq!(parsed.problems.iter().map(|p| p.location.line).collect::<Vec<_>>(), [6, 7, 8]);
    assert_eq!(parsed.skipped.iter().map(|s| s.kind.as_str()).collect::<Vec<_>>(), ["ConfigMap"]);
}

#[test]
fn lists_of_one_kind_say_it_for_their_items() {
    let text = "{apiVersion: v1, kind: PodList, items: [{metadata: {name: a}, spec: {containers: []}}]}";
    assert_eq!(names(text), ["Pod default/a"]);
    let text = DB.replace("apiVersion", "  apiVersion").replace("\n", "\n  ").replacen(
        "apiVersion",
        "- apiVersion",
        1,
    );
    let text = format!("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicyList\nitems:\n{}", &text[2..]);
    assert_eq!(names(&text), ["NetworkPolicy prod/db"], "{text}");
    assert_eq!(names("{apiVersion: v1, kind: PodList, items: null}"), [""; 0]);
}

#[test]
fn json_is_read_with_places_too() {
    let text = "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Pod\",\n\t\"metadata\": {\"name\": \"a\\/b\", \"x\": \"\\ud83d\\ude00\"}\n}";
    let [problem] = &parse("a.json", text).problems[..] else { panic!("{:?}", parse("a.json", text)) };
    assert_eq!(problem.location.to_string(), "a.json:4:23");
    assert!(problem.message.starts_with("\"a/b\" is not a name"), "{}", problem.message);
    let long = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{{\"annotations\":{{\"a\":\"{}\"}},\"name\":\"a\"}}}}",
        "x".repeat(5000)
    );
    assert_eq!(names(&long), ["Namespace a"]);
}

#[test]
fn workloads_stand_for_their_pod_template() {
    let template = "{metadata: {labels: {app: a}}, spec: {hostNetwork: true, containers: [{name: c, ports: [{name: web, containerPort: 80}]}]}}";
    for (kind, version, spec) in [
        ("Deployment", "apps/v1", "{template: @}"),
        ("StatefulSet", "apps/v1", "{template: @}"),
        ("DaemonSet", "apps/v1", "{template: @}"),
        ("ReplicaSet", "apps/v1", "{template: @}"),
        ("Job", "batch/v1", "{template: @}"),
        ("CronJob", "batch/v1", "{jobTemplate: {spec: {template: @}}}"),
        ("ReplicationController", "v1", "{template: @}"),
    ] {
        let spec = spec.replace('@', template);
        let text = format!(
            "{{apiVersion: {version}, kind: {kind}, metadata: {{name: x, namespace: prod}}, spec: {spec}}}"
        );
        let parsed = parse("f", &text);
        let [Located { value: Object::Workload(workload), .. }] = &parsed.objects[..] else {
            panic!("{parsed:?}")
        };
        assert_eq!(&*workload.kind, kind);
        assert_eq!(workload.pod.key.to_string(), "prod/x");
        assert_eq!(workload.pod.labels.to_string(), "app=a");
        assert!(workload.pod.host_network && workload.pod.ips.is_empty());
        assert_eq!(workload.pod.ports[0].port, 80);
        assert_eq!(workload.owner, None);
        let bad = text.replace("containerPort: 80", "containerPort: x");
        let [problem] = &parse("f", &bad).problems[..] else { panic!("one problem") };
        assert!(
            problem.path.to_string().ends_with("template.spec.containers[0].ports[0].containerPort"),
            "{problem}"
        );
        assert_eq!(&bad[problem.location.span.clone()], "x");
    }
}

#[test]
fn types_are_held_to_the_api() {
    let text = DB.replace("  name: db", "  name: db\n  creationTimestamp: yesterday");
    let [problem] = &parse("f", &text).problems[..] else { panic!("one problem") };
    assert_eq!(problem.path.to_string(), "metadata.creationTimestamp");
    assert_eq!(&text[problem.location.span.clone()], "yesterday");
    assert_eq!(
        problems("{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: n}}"),
        [
            "1:60: Pod default/a: metadata.namespace: n is a boolean, and a text is needed (put it in quotes: \"n\")"
        ]
    );
}

#[test]
fn unknown_fields_of_other_kinds_and_other_kinds_are_no_problem() {
    let text =
        "{apiVersion: v1, kind: Pod, metadata: {name: a, x: 1}, spec: {containers: [], new: {field: 1}}}
---
{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {name: a}, spec: {selector: x}}
---
{apiVersion: apps/v1, kind: ControllerRevision, metadata: {name: a}}";
    let parsed = parse("f", text);
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    assert_eq!(names(text), ["Pod default/a"]);
    assert_eq!(parsed.skipped.len(), 2);
}

#[test]
fn anchors_and_merges_are_followed() {
    let text = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: a}
spec:
  podSelector: &web
    matchLabels: &labels {app: web}
  ingress:
  - from:
    - podSelector: *web
    - podSelector:
        matchLabels: {<<: *labels, tier: front}
";
    let parsed = parse("f", text);
    let [Located { value: Object::Policy(policy), .. }] = &parsed.objects[..] else { panic!("{parsed:?}") };
    let shown = format!("{:?}", policy.ingress);
    assert!(shown.contains("web") && shown.contains("front"), "{shown}");
    assert_eq!(problems("a: &a [*a]"), ["1:8: the alias stands for itself"]);
    assert_eq!(problems("a: *b").len(), 1);
    assert_eq!(problems("{apiVersion: v1, kind: Namespace, metadata: {name: a, <<: 7}}").len(), 1);
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    let mut bomb = "a0: &a0 x\n".to_owned();
    for i in 1..40 {
        bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(",")));
    }
    let [problem] = &problems(&bomb)[..] else { panic!("one problem") };
    assert!(problem.contains("the aliases stand for more than 100000 values"), "{problem}");
    let deep = format!("{}{}", "[".repeat(150), "]".repeat(150));
    assert_eq!(problems(&deep), ["1:101: lists and maps nest deeper than 100"]);
    let deeper = "- ".repeat(100_000);
    assert_eq!(problems(&deeper).len(), 1);
    let large = " ".repeat(limits::BYTES + 1);
    assert!(problems(&large)[0].contains("split it into several files"));
    let keys: String = (0..50_000).map(|i| format!("k{i}: {i}\n")).collect();
    assert_eq!(problems(&keys).len(), 1, "many keys are read in no more than n log n");
}

#[test]
fn tags_of_other_types_are_refused() {
    assert!(problems("!!python/object x").len() == 1 && problems("!x {a: b}").len() == 1);
    assert_eq!(problems("!!int x"), ["1:7: \"x\" has the tag !!int, but is none"]);
    let text = DB.replace("app: api", "app: !!str 1");
    assert_eq!(names(&text), ["NetworkPolicy prod/db"]);
}

/// One random edit of a text.
fn edit() -> impl Strategy<Value = (prop::sample::Index, usize, String)> {
    let piece = prop_oneof![
        select(
            &[
                "", "\n", "  ", "- ", ":", "{", "}", "[", "]", "&a ", "*a", "<<: ", "!!int ", "\"", "'",
                "|\n", "---\n", "#", "\t", "é", "? "
            ][..]
        )
        .prop_map(str::to_owned),
        select(DB.lines().collect::<Vec<_>>()).prop_map(|line| format!("\n{line}\n")),
        any::<char>().prop_map(String::from),
    ];
    (any::<prop::sample::Index>(), 0..12usize, piece)
}

proptest! {
    #[test]
    fn edited_text_never_panics_and_every_place_is_in_it(edits in vec(edit(), 1..8)) {
        let mut text: Vec<char> = format!("{DB}---\n{DB}").chars().collect();
        for (at, cut, piece) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + cut).min(text.len());
            text.splice(at..end, piece.chars());
        }
        let text: String = text.into_iter().collect();
        let parsed = parse("f", &text);
        let objects = parsed.objects.iter().map(|object| &object.location);
        let skipped = parsed.skipped.iter().map(|skipped| &skipped.location);
        for location in parsed.problems.iter().map(|problem| &problem.location).chain(objects).chain(skipped) {
            prop_assert!(text.get(location.span.clone()).is_some(), "{:?} of {:?}", location, text);
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in vec(any::<char>(), 0..200)) {
        let _ = parse("f", &text.into_iter().collect::<String>());
    }
}
