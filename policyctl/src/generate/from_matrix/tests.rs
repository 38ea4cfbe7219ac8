use super::*;
use crate::{
    input,
    matrix::{self, Matrix, Options},
};
use policy_model::{
    cluster::{Change, Cluster},
    object::ObjectKey,
    strategies,
};
use proptest::prelude::*;

/// Pods of one workload each, by namespace, name and labels.
fn snapshot(pods: &[(&str, &str, &str)]) -> Snapshot {
    let text: Vec<String> = pods
        .iter()
        .enumerate()
        .map(|(index, (namespace, name, labels))| {
            format!(
                "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}, labels: {{{labels}}}}}, \
                 spec: {{containers: []}}, status: {{podIPs: [{{ip: 10.244.0.{}}}]}}}}\n",
                index + 2
            )
        })
        .collect();
    let snapshot = input::parse("pods.yaml", &text.join("---\n"), None);
    assert!(snapshot.faults.is_empty(), "{:?}", snapshot.faults);
    snapshot
}

/// A list: `a > b 80,443` by the pods' keys.
fn wanted(rows: &[&str]) -> Wanted {
    let rows: Vec<String> = rows
        .iter()
        .map(|row| {
            let parts: Vec<&str> = row.split(' ').collect();
            let end = |text: &str| {
                if text.contains('/') && !text.contains('.') {
                    format!("{text}[Pod]")
                } else {
                    text.to_owned()
                }
            };
            let connections = match parts[3] {
                "all" => r#"{"protocol":"ANY","ports":"all"}"#.to_owned(),
                ports => format!(r#"{{"protocol":"TCP","ports":"{ports}"}}"#),
            };
            format!(
                r#"{{"source":"{}","destination":"{}","connections":[{connections}]}}"#,
                end(parts[0]),
                end(parts[2])
            )
        })
        .collect();
    let text = format!(r#"{{"kind":"Matrix","rows":[{}]}}"#, rows.join(","));
    Wanted::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

const SHOP: [(&str, &str, &str); 4] = [
    ("shop", "front", "app: front, tier: web"),
    ("shop", "api", "app: api, tier: web"),
    ("shop", "db", "app: db, tier: data"),
    ("ops", "prometheus", "app: prometheus"),
];

fn yaml(pods: &[(&str, &str, &str)], rows: &[&str]) -> String {
    let made = from_matrix(&snapshot(pods), &wanted(rows)).unwrap_or_else(|error| panic!("{error}"));
    super::super::to_yaml(&made)
}

/// Policies and rules.
fn size(pods: &[(&str, &str, &str)], rows: &[&str]) -> (usize, usize) {
    let made = from_matrix(&snapshot(pods), &wanted(rows)).unwrap_or_else(|error| panic!("{error}"));
    let rules = |policy: &NetworkPolicy| {
        Direction::BOTH.map(|direction| policy.rules(direction).map_or(0, <[_]>::len))
    };
    (made.len(), made.iter().flat_map(|one| rules(&one.policy)).sum())
}

#[test]
fn a_shop() {
    let rows = [
        "shop/front > shop/api 8080",
        "shop/api > shop/db 5432",
        "0.0.0.0-255.255.255.255 > shop/front 443",
        "ops/prometheus > shop/front 9090",
        "ops/prometheus > shop/api 9090",
        "ops/prometheus > shop/db 9090",
    ];
    insta::assert_snapshot!(yaml(&SHOP, &rows));
}

#[test]
fn what_many_share_is_one_rule() {
    // Everybody of the shop to everybody of it: one policy, one rule a direction; the lone other is shut.
    let all = ["front", "api", "db"];
    let rows: Vec<String> = all
        .iter()
        .flat_map(|a| all.iter().filter(move |b| a != *b).map(move |b| format!("shop/{a} > shop/{b} 80")))
        .collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    assert_eq!(size(&SHOP, &rows), (2, 2));
}

#[test]
fn nothing_and_everything() {
    assert_eq!(size(&SHOP, &[]), (2, 0), "a policy a namespace");
    let names = ["shop/front", "shop/api", "shop/db", "ops/prometheus"];
    let inside = names
        .iter()
        .flat_map(|a| names.iter().filter(move |b| a != *b).map(move |b| format!("{a} > {b} all")));
    let outside = names.iter().flat_map(|a| [format!("{a} > 0.0.0.0/0 all"), format!("0.0.0.0/0 > {a} all")]);
    let rows: Vec<String> = inside.chain(outside).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    assert_eq!(size(&SHOP, &rows), (0, 0), "nothing is isolated");
    // Only the front may not reach the database: one policy at the database is enough.
    let most: Vec<&str> = rows.into_iter().filter(|row| !row.starts_with("shop/front > shop/db")).collect();
    assert_eq!(size(&SHOP, &most).0, 1);
}

#[test]
fn workloads_of_the_same_labels_are_named() {
    let twins = [("shop", "a", "app: x"), ("shop", "b", "app: x"), ("shop", "c", "app: z")];
    let error = from_matrix(&snapshot(&twins), &wanted(&["shop/a > shop/c 80"])).unwrap_err();
    assert_eq!(error, FromMatrixError::Alike { first: "shop/a[Pod]".into(), second: "shop/b[Pod]".into() });
    let both = from_matrix(&snapshot(&twins), &wanted(&["shop/a > shop/c 80", "shop/b > shop/c 80"]));
    assert!(both.is_ok(), "{both:?}");
}

#[test]
fn unknown_workloads_are_refused_with_what_was_meant() {
    let error = from_matrix(&snapshot(&SHOP), &wanted(&["shop/frnt > shop/db 80"])).unwrap_err();
    let meant = Some("shop/front[Pod]".to_owned());
    assert_eq!(error, FromMatrixError::NoWorkload { name: "shop/frnt[Pod]".into(), meant });
}

#[test]
fn lists_that_say_nothing_sensible_are_refused() {
    for (text, part) in [
        ("[]", "no matrix"),
        (r#"{"kind":"Explanation","rows":[]}"#, "Explanation"),
        (
            r#"{"kind":"Matrix","rows":[{"source":"a","destination":"s/b[Pod]","connections":[{"protocol":"TCP","ports":"1"}]}]}"#,
            "rows[0]: \"a\" is no end",
        ),
        (
            r#"{"kind":"Matrix","rows":[{"source":"s/a[Pod]","destination":"s/b[Pod]","connections":[]}]}"#,
            "empty",
        ),
        (
            r#"{"kind":"Matrix","rows":[{"source":"s/a[Pod]","destination":"s/b[Pod]","connections":[{"protocol":"tcp","ports":"1"}]}]}"#,
            "no protocol",
        ),
        (
            r#"{"kind":"Matrix","rows":[{"source":"s/a[Pod]","destination":"s/b[Pod]","connections":[{"protocol":"TCP","ports":"0"}]}]}"#,
            "no ports",
        ),
        (
            r#"{"kind":"Matrix","rows":[{"source":"s/a[Pod]","destination":"s/b[Pod]","connections":[{"protocol":"TCP","ports":"9-1"}]}]}"#,
            "no ports",
        ),
        (
            r#"{"kind":"Matrix","rows":[{"source":"s/a[Pod]","destination":"s/b[Pod]","connections":[{"protocol":"ANY","ports":"1"}]}]}"#,
            "ANY",
        ),
        (
            r#"{"kind":"Matrix","rows":[{"source":"1.1.1.1","destination":"2.2.2.2","connections":[{"protocol":"ANY","ports":"all"}]}]}"#,
            "outside",
        ),
        (
            r#"{"kind":"Matrix","rows":[{"source":"2.2.2.2-1.1.1.1","destination":"s/b[Pod]","connections":[{"protocol":"ANY","ports":"all"}]}]}"#,
            "no end",
        ),
    ] {
        let error = Wanted::parse(text).expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

/// What `matrix -o json` says about a snapshot.
fn matrix_json(snapshot: &Snapshot) -> String {
    let mut json = Vec::new();
    matrix::write_json(&Matrix::new(snapshot, &Options::default()), &mut json).unwrap();
    String::from_utf8(json).unwrap()
}

/// A list of pairs among a few pods of three namespaces, with few ports.
fn list() -> impl Strategy<Value = Vec<(usize, usize, u8)>> {
    proptest::collection::vec((0..9usize, 0..9usize, 0..4u8), 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Whatever is wanted of pods that labels tell apart: there are policies, and evaluated again they are the list. That is what
    /// `from_matrix` proves by itself; here the JSON of a new matrix is held against the list.
    #[test]
    fn any_list_is_met_exactly(pairs in list()) {
        let pods: Vec<(String, String, String)> = (0..9)
            .map(|index| (format!("n{}", index / 3), format!("p{index}"), format!("app: a{}, tier: t{}", index % 3, index % 2)))
            .collect();
        let pods: Vec<(&str, &str, &str)> = pods.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
        let before = snapshot(&pods);
        let name = |index: usize| if index == 8 { "192.0.2.0/24".to_owned() } else { format!("n{}/p{index}", index / 3) };
        let rows: Vec<String> = pairs
            .iter()
            .filter(|(a, b, _)| a != b)
            .map(|(a, b, ports)| format!("{} > {} {}", name(*a), name(*b), ["80", "443", "8000-8100", "all"][usize::from(*ports)]))
            .collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let wanted = wanted(&rows);
        let made = from_matrix(&before, &wanted).unwrap_or_else(|error| panic!("{error}"));
        // A policy a workload and a rule a pair and side would always do.
        let rules = |policy: &NetworkPolicy| Direction::BOTH.map(|direction| policy.rules(direction).map_or(0, <[_]>::len));
        let count: usize = made.iter().flat_map(|one| rules(&one.policy)).sum();
        prop_assert!(made.len() + count <= pods.len() + 2 * rows.len(), "{} policies, {count} rules", made.len());
        let policies = made.into_iter().map(|one| Change::Policy(one.policy));
        let after = Snapshot::of(before.cluster.changes().chain(policies).collect::<Cluster>());
        let evaluated = Wanted::parse(&matrix_json(&after)).unwrap();
        prop_assert_eq!(evaluated.inside, wanted.inside);
    }

    /// The matrix of any cluster is a list that its own policies meet. What other policies meet is proven, and what they cannot is
    /// said; they can always where every pod has labels of its own.
    #[test]
    fn the_matrix_of_a_cluster_comes_back(mut cluster in strategies::cluster()) {
        let pods: Vec<_> = cluster.pods().cloned().collect();
        for (index, mut pod) in pods.into_iter().enumerate() {
            cluster.remove_pod(&pod.key.clone());
            pod.labels = pod.labels.with("id", &format!("i{index}"));
            pod.owner = None;
            let is_shared = pod.ips.iter().any(|ip| cluster.claimants(*ip).next().is_some());
            if !is_shared {
                cluster.insert_pod(pod);
            }
        }
        let before = Snapshot::of(cluster);
        let text = matrix_json(&before);
        let wanted = Wanted::parse(&text).unwrap();
        let made = from_matrix(&before, &wanted);
        // Two on the network of one node may have different answers by their own nodes, and no rule that does so.
        if let Err(FromMatrixError::Alike { first, .. }) = &made {
            let name = first.trim_end_matches("[Pod]").split_once('/').unwrap();
            prop_assert!(before.cluster.pod(&ObjectKey::new(name.0, name.1)).unwrap().host_network);
            return Ok(());
        }
        prop_assert!(made.is_ok(), "{}\n{text}", made.unwrap_err());
    }
}
