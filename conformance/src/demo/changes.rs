//! The live changes that are told in files alone.

use super::{
    DemoError,
    checks::Checks,
    folder::Edit,
    screen::{Screen, wrap},
    stage::Stage,
};
use policyctl::style::Tone;

/// A change, and what it is about.
pub(super) struct Change {
    title: &'static str,
    story: &'static str,
    edits: &'static [Edit],
}

/// In the order in which they are told.
pub(super) const CHANGES: [Change; 3] = [
    Change {
        title: "A label is removed",
        story: "One of the two fronts loses its label app=front. To every policy it is then just some pod of the shop: \
                the gateway no longer reaches it, and it no longer reaches the api.",
        edits: &[Edit::Line {
            file: "shop.yaml",
            after: "name: front-58d6-k2x7p",
            old: "labels: {app: front, pod-template-hash: 58d6}",
            new: "labels: {pod-template-hash: 58d6}",
        }],
    },
    Change {
        title: "A policy is added",
        story: "Dashboards may read the metrics of the shop's database.",
        edits: &[Edit::Add { file: "policy-dashboards.yaml", text: DASHBOARDS }],
    },
    Change {
        title: "A namespace is relabelled",
        story: "The namespace payments goes to another team. The api's policy lets it reach the pay pods of team=payments, \
                and there is no such namespace any more.",
        edits: &[Edit::Line {
            file: "namespaces.yaml",
            after: "name: payments",
            old: "team: payments",
            new: "team: finance",
        }],
    },
];

const DASHBOARDS: &str = "\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: dashboards, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from:
    - namespaceSelector: {matchLabels: {role: monitoring}}
      podSelector: {matchLabels: {app: grafana}}
    ports: [{port: metrics}]
";

/// A policy with a misspelt field. Taken for `podSelector: {}` it would select every pod of the shop.
const BROKEN: &str = "\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: broken, namespace: shop}
spec:
  podSelecter: {matchLabels: {app: db}}
  policyTypes: [Ingress, Egress]
";

/// Makes a change and tells what came of it.
pub(super) fn tell(
    change: &Change,
    stage: &mut Stage,
    screen: &mut Screen<'_>,
    checks: &mut Checks,
) -> Result<(), DemoError> {
    screen.heading(change.title);
    screen.paragraph(4, change.story);
    let commits = stage.edit(screen, change.edits)?;
    checks.check(commits.iter().any(|node| !node.is_empty()), || {
        format!("no node committed: {}", change.title)
    });
    stage.show_turned(screen, checks)
}

/// Puts a broken manifest beside the good ones: it is named, and nothing changes.
pub(super) fn tell_broken(
    stage: &mut Stage,
    screen: &mut Screen<'_>,
    checks: &mut Checks,
) -> Result<(), DemoError> {
    screen.heading("A broken manifest comes to the good ones");
    screen.paragraph(
        4,
        "A field is misspelt. Nothing is guessed: the object is refused and named, all others stay in force.",
    );
    stage.settle();
    let marks: Vec<_> = stage.enforced.daemons().iter().map(crate::enforced::Policyd::mark).collect();
    let planned = stage.folder.plan(Edit::Add { file: "policy-broken.yaml", text: BROKEN })?;
    screen.detail(None, 4, &planned.place);
    for (sign, line) in &planned.diff {
        screen.detail(Some(Tone::Good), 6, &format!("{sign} {line}"));
    }
    // Not read as the state of the cluster: the model refuses the file as policyd does.
    let commits = stage.enforced.change(|_| stage.folder.make(&planned))?;
    super::stage::tell_commits(screen, &commits);
    checks.check(commits.iter().all(Vec::is_empty), || "a broken manifest changed the kernel".to_owned());
    for (daemon, mark) in stage.enforced.daemons().iter().zip(marks) {
        let errors = daemon.errors_since(mark);
        let names =
            |error: &String| error.contains("NetworkPolicy shop/broken") && error.contains("podSelecter");
        let named = checks.check(errors.iter().any(names), || {
            format!("policyd does not name the broken policy and its field: {errors:?}")
        });
        if named && daemon.node() == 1 {
            let folder = format!("{}/", stage.folder.root().display());
            for line in wrap(errors.join(" ").replace(&folder, "").split_whitespace(), screen.width() - 6) {
                screen.detail(Some(Tone::Bad), 6, &line);
            }
        }
    }
    let (_, turned) = stage.look(screen, checks)?;
    checks.check(turned.is_empty(), || format!("a broken manifest turned probes: {turned:?}"));
    stage.edit(screen, &[Edit::Remove { file: "policy-broken.yaml" }]).map(drop)
}
