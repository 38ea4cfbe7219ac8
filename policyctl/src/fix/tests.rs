use super::*;
use crate::{
    endpoint::{self as written, Ports, Target},
    explain::{Question, explain},
    matrix::{End as Row, Granularity, Matrix, Options},
};
use policy_model::{
    labels::Labels,
    manifest::{Object, parse},
    object::{ObjectKey, Protocol},
    reach::AddressRange,
    strategies,
};
use proptest::{prelude::*, sample::Index};
use std::collections::BTreeMap;

/// A cluster and a question between two of its pods, or a pod and an address.
fn questions() -> impl Strategy<Value = (Cluster, Question)> {
    let ends = (any::<Index>(), any::<Index>(), 0..6u8, strategies::address());
    let ports = (prop::sample::select(&Protocol::ALL[..]), prop::sample::select(&[80u16, 443, 8080, 53][..]));
    (strategies::cluster(), ends, ports).prop_filter_map(
        "two pods",
        |(cluster, (source, destination, outside, address), (protocol, port))| {
            let keys: Vec<ObjectKey> =
                cluster.pods().filter(|pod| !pod.terminal).map(|pod| pod.key.clone()).collect();
            if keys.is_empty() {
                return None;
            }
            let pod = |index: Index| written::Endpoint::Pod(keys[index.index(keys.len())].clone());
            let address = written::Endpoint::Address(address);
            let (source, destination) = match outside {
                0 => (address, pod(destination)),
                1 => (pod(source), address),
                _ => (pod(source), pod(destination)),
            };
            let target = Target { endpoint: destination, ports: Ports::Range(protocol, port, port) };
            Some((cluster, Question { source, target }))
        },
    )
}

/// Applies a fix as a person would: from its YAML.
fn applied(cluster: &Cluster, fix: &Fix) -> Cluster {
    let mut after = cluster.clone();
    for policy in &fix.policies {
        let text = crate::yaml::to_yaml(&crate::manifest::policy(policy));
        let mut parsed = parse("fix.yaml", &text);
        assert!(parsed.problems.is_empty(), "{text}\n{:?}", parsed.problems);
        let Object::Policy(read) = parsed.objects.remove(0).value else { panic!("{text}") };
        assert_eq!(&read, policy, "{text}");
        after.insert_policy(read);
    }
    after
}

/// Everything that may pass between single pods and ranges, for both clusters cut alike.
fn rows(clusters: [&Cluster; 2]) -> [BTreeMap<(Row, Row), PortSet>; 2] {
    let options = |cuts| Options { granularity: Granularity::Pods, namespace: None, cuts };
    let snapshots = clusters.map(|cluster| Snapshot::of(cluster.clone()));
    let cuts: Vec<_> = snapshots.iter().flat_map(|s| Matrix::new(s, &options(Vec::new())).cuts()).collect();
    let matrices = snapshots.each_ref().map(|snapshot| Matrix::new(snapshot, &options(cuts.clone())));
    matrices
        .each_ref()
        .map(|matrix| matrix.by_ends().into_iter().map(|(ends, ports)| (ends, ports.clone())).collect())
}

/// What a fix says that moves between two ends, what was asked included.
fn announced(explanation: &Explanation, fix: &Fix, ends: &(Row, Row)) -> [PortSet; 2] {
    let covers = |range: AddressRange, part: AddressRange| range.lo <= part.lo && part.hi <= range.hi;
    let is = |place: &moved::Place, row: &Row| match (place, row) {
        (moved::Place::Pod(key), Row::Inside(name)) => **name == *format!("{key}[Pod]"),
        (moved::Place::Range(range), Row::Outside(part)) => covers(*range, *part),
        _ => false,
    };
    let asked = |end: &Endpoint, row: &Row| match (end, row) {
        (Endpoint::Pod { key, .. }, Row::Inside(name)) => **name == *format!("{key}[Pod]"),
        (Endpoint::Address(address), Row::Outside(range)) => range.lo == *address && range.hi == *address,
        _ => false,
    };
    let mut all = [PortSet::none(), PortSet::none()];
    for pair in &explanation.pairs {
        if asked(&pair.source, &ends.0) && asked(&pair.destination, &ends.1) {
            all = all.map(|ports| ports.union(&pair.asked.ports()));
        }
    }
    for moved in fix.also.iter().filter(|moved| is(&moved.source, &ends.0) && is(&moved.destination, &ends.1))
    {
        all = [all[0].union(&moved.gained), all[1].union(&moved.lost)];
    }
    all
}

fn check(cluster: &Cluster, question: &Question, goal: Goal) -> Result<bool, TestCaseError> {
    let snapshot = Snapshot::of(cluster.clone());
    let Ok(before) = explain(&snapshot, question) else { return Ok(false) };
    let Some(fix) = find(&snapshot, &before, goal) else { return Ok(false) };
    let after = applied(cluster, &fix);
    // What was asked is turned.
    let turned = explain(&Snapshot::of(after.clone()), question).expect("the ends are the same");
    for (pair, was) in turned.pairs.iter().zip(&before.pairs) {
        let expected = match (goal, was.verdict) {
            (Goal::Allow, Answer::Denied) => Answer::Allowed,
            (Goal::Deny, Answer::Allowed) => Answer::Denied,
            (_, other) => other,
        };
        let is_as_wanted = pair.verdict == expected || was.verdict == Answer::Unknown;
        prop_assert!(is_as_wanted, "{:?} became {:?} by {:#?}", was, pair, fix);
    }
    // Nothing else is, beyond what was announced.
    let [rows_before, rows_after] = rows([cluster, &after]);
    let nothing = PortSet::none();
    for ends in rows_before.keys().chain(rows_after.keys()) {
        let [was, is] = [&rows_before, &rows_after].map(|rows| rows.get(ends).unwrap_or(&nothing));
        let [gained, lost] = announced(&before, &fix, ends);
        let (more, less) = (is.difference(was).difference(&gained), was.difference(is).difference(&lost));
        prop_assert!(more.is_empty(), "{:?} gained {} by {:#?}", ends, more, fix);
        prop_assert!(less.is_empty(), "{:?} lost {} by {:#?}", ends, less, fix);
    }
    // To allow stops nothing, to deny allows nothing.
    for moved in &fix.also {
        let wrong = if goal == Goal::Allow { &moved.lost } else { &moved.gained };
        prop_assert!(wrong.is_empty(), "{:?}", moved);
    }
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_fix_allows_what_was_asked_and_moves_what_it_says((cluster, question) in questions()) {
        check(&cluster, &question, Goal::Allow)?;
    }

    #[test]
    fn denying_stops_what_was_asked_and_moves_what_it_says((cluster, question) in questions()) {
        check(&cluster, &question, Goal::Deny)?;
    }

    /// Labels that are the same, or none at all, are no reason to have no answer.
    #[test]
    fn whatever_policies_have_a_say_in_can_be_stopped((cluster, question) in questions(), alike in any::<bool>()) {
        let mut cluster = cluster;
        if alike {
            let pods: Vec<_> = cluster.pods().cloned().collect();
            for (number, mut pod) in pods.into_iter().enumerate() {
                pod.labels = if number % 2 == 0 { [("app", "same")].into_iter().collect() } else { Labels::default() };
                cluster.insert_pod(pod);
            }
        }
        let snapshot = Snapshot::of(cluster.clone());
        if let Ok(explanation) = explain(&snapshot, &question)
            && explanation.verdict == Answer::Allowed
            && why_unstoppable(&cluster, &explanation).is_none()
        {
            prop_assert!(find(&snapshot, &explanation, Goal::Deny).is_some(), "{:?}", explanation);
            check(&cluster, &question, Goal::Deny)?;
        }
    }
}

/// The properties above would hold of no fix at all: most denied questions have one, and most allowed ones too.
#[test]
fn most_answers_can_be_turned() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut turned, mut asked) = ([0, 0], [0, 0]);
    for _ in 0..300 {
        let (cluster, question) = questions().new_tree(&mut runner).expect("a question").current();
        let snapshot = Snapshot::of(cluster.clone());
        let Ok(explanation) = explain(&snapshot, &question) else { continue };
        for (index, (goal, answer)) in
            [(Goal::Allow, Answer::Denied), (Goal::Deny, Answer::Allowed)].into_iter().enumerate()
        {
            if explanation.verdict == answer {
                asked[index] += 1;
                turned[index] += usize::from(find(&snapshot, &explanation, goal).is_some());
            }
        }
    }
    assert!(turned[0] * 10 > asked[0] * 8, "{turned:?} of {asked:?}");
    assert!(turned[1] * 10 > asked[1] * 4, "{turned:?} of {asked:?}");
}
