//! What happens in the benches' cluster: events, each with those that undo it, so that the state does not drift.

use super::cluster::{
    APPS, CROWD, LOCAL_PODS, Size, local_pod, pod, policy, policy_for_everywhere, remote_peer, team,
};
use policy_model::{
    cluster::Change,
    object::Pod,
    policy::{NetworkPolicy, PolicyPort, PortMatch},
};

/// In round `n`: each step is one event, committed alone.
pub(crate) type Happening = fn(&Size, usize) -> Vec<(&'static str, Change)>;

/// The pod with another app than its own.
pub(crate) fn with_another_app(pod: &Pod, own: usize, n: usize) -> Pod {
    let mut changed = pod.clone();
    changed.labels = changed.labels.with("app", &format!("app-{}", (own + 1 + n % (APPS - 1)) % APPS));
    changed
}

/// The policy with other ports.
pub(crate) fn changed(policy: &NetworkPolicy, n: usize) -> NetworkPolicy {
    let mut changed = policy.clone();
    let port = 8_000 + n as u16 % 1_000;
    for rule in changed.ingress.iter_mut().flatten() {
        for PolicyPort { port: which, .. } in &mut rule.ports {
            *which = PortMatch::Range(port, port);
        }
    }
    changed
}

fn app_of(size: &Size, i: usize) -> usize {
    i / size.pods.div_ceil(100) % APPS
}

/// The usual ones.
pub(crate) const HAPPENINGS: &[Happening] = &[
    |size, n| {
        let changed = pod(size, remote_peer(size), n + 1);
        vec![("a remote pod's label changes, and no selector cares", Change::Pod(changed))]
    },
    |size, n| {
        let i = remote_peer(size);
        let before = pod(size, i, 0);
        let after = with_another_app(&before, app_of(size, i), n);
        vec![
            ("a remote pod changes its app", Change::Pod(after)),
            ("a remote pod changes its app back", Change::Pod(before)),
        ]
    },
    |size, n| {
        let i = local_pod(size, n % LOCAL_PODS);
        let before = pod(size, i, 0);
        let after = with_another_app(&before, app_of(size, i), n);
        vec![
            ("a local pod changes its app", Change::Pod(after)),
            ("a local pod changes its app back", Change::Pod(before)),
        ]
    },
    |size, _| {
        let pod = pod(size, remote_peer(size), 0);
        vec![
            ("a remote pod is deleted", Change::PodDeleted(pod.key.clone())),
            ("a remote pod is created", Change::Pod(pod)),
        ]
    },
    |size, n| {
        let pod = pod(size, local_pod(size, n % LOCAL_PODS), 0);
        vec![
            ("a local pod is deleted", Change::PodDeleted(pod.key.clone())),
            ("a local pod is created", Change::Pod(pod)),
        ]
    },
    |size, n| {
        let policy = policy(size, 0);
        vec![
            ("a policy's ports change", Change::Policy(changed(&policy, n))),
            ("a policy is deleted", Change::PolicyDeleted(policy.key.clone())),
            ("a policy is created", Change::Policy(policy)),
        ]
    },
    |size, n| {
        let policy = policy_for_everywhere(size, n);
        let key = policy.key.clone();
        vec![
            ("a policy with a selector over all namespaces is created", Change::Policy(policy)),
            ("a policy with a selector over all namespaces is deleted", Change::PolicyDeleted(key)),
        ]
    },
    |size, _| {
        vec![
            (
                "a namespace of 100 pods changes its team",
                Change::Namespace(team("ns-0", size.another_team())),
            ),
            ("a namespace of 100 pods changes its team back", Change::Namespace(team("ns-0", 0))),
        ]
    },
];

/// The namespace of [`super::cluster::crowd`] changes its team.
pub(crate) const CROWD_MOVES: Happening = |size, _| {
    vec![
        ("a namespace of 10,000 pods changes its team", Change::Namespace(team(CROWD, size.another_team()))),
        ("a namespace of 10,000 pods changes its team back", Change::Namespace(team(CROWD, 0))),
    ]
};
