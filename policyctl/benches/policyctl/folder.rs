//! A made-up company: teams of 25 workloads, each with a policy of its own.

use std::{
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

/// How many workloads a team has.
const TEAM: usize = 25;

/// What is written where.
pub(crate) struct Paths {
    /// A folder with a file a namespace.
    pub(crate) folder: PathBuf,
    /// The same documents as one file.
    pub(crate) file: PathBuf,
    /// The folder again, but for one policy that lets nothing in.
    pub(crate) changed: PathBuf,
}

/// Writes `size` Deployments, each with a pod, and as many policies; everything is the same each time.
pub(crate) fn write(within: &Path, size: usize) -> io::Result<Paths> {
    let at = |what: &str| within.join(format!("{what}-{size}"));
    let paths =
        Paths { folder: at("folder"), file: at("file").with_extension("yaml"), changed: at("changed") };
    for folder in [&paths.folder, &paths.changed] {
        fs::create_dir_all(folder)?;
    }
    let teams: Vec<String> = (0..size.div_ceil(TEAM)).map(|number| team(number, size)).collect();
    for (number, text) in teams.iter().enumerate() {
        for folder in [&paths.folder, &paths.changed] {
            fs::write(folder.join(format!("team-{number}.yaml")), text)?;
        }
    }
    fs::write(&paths.file, teams.join("---\n"))?;
    let closed = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: app-1, namespace: team-0}\n\
                  spec: {podSelector: {matchLabels: {app: app-1}}, policyTypes: [Ingress]}\n";
    fs::write(paths.changed.join("team-later.yaml"), closed)?;
    Ok(paths)
}

/// A namespace with what is in it.
fn team(team: usize, size: usize) -> String {
    let teams = size.div_ceil(TEAM);
    let mut text = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: team-{team}\n  labels: {{team: team-{team}, zone: zone-{}}}\n",
        team % 4
    );
    for number in team * TEAM..((team + 1) * TEAM).min(size) {
        workload(&mut text, team, number);
        if number % TEAM == 0 {
            default_deny(&mut text, team);
        } else {
            policy(&mut text, team, number, teams);
        }
    }
    text
}

fn workload(text: &mut String, team: usize, number: usize) {
    let (tier, address) =
        (number % 3, format!("10.{}.{}.{}", 244 + number / 62_500, number / 250 % 250, 2 + number % 250));
    let template = format!("{{app: app-{number}, tier: tier-{tier}}}");
    let ports = format!(
        "[{{name: main, image: registry.example/app, ports: [{{name: http, containerPort: {}}}]}}]",
        8000 + number % 4
    );
    let _ = write!(
        text,
        "---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: app-{number}, namespace: team-{team}}}
spec:
  selector: {{matchLabels: {{app: app-{number}}}}}
  template:
    metadata: {{labels: {template}}}
    spec: {{containers: {ports}}}
---
apiVersion: v1
kind: Pod
metadata:
  name: app-{number}-7d9c-x
  namespace: team-{team}
  labels: {{app: app-{number}, tier: tier-{tier}, pod-template-hash: 7d9c}}
  ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: app-{number}-7d9c, uid: a{number}, controller: true}}]
spec: {{nodeName: node-{}, containers: {ports}}}
status: {{phase: Running, podIP: {address}, podIPs: [{{ip: {address}}}]}}
",
        number % 20
    );
}

fn default_deny(text: &mut String, team: usize) {
    let _ = write!(
        text,
        "---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: default-deny, namespace: team-{team}}}
spec:
  podSelector: {{}}
  policyTypes: [Ingress, Egress]
"
    );
}

/// One workload lets in its own team's first tier, another team, and an office; it may go out to its team and to DNS.
fn policy(text: &mut String, team: usize, number: usize, teams: usize) {
    let other = (team + number) % teams;
    let _ = write!(
        text,
        "---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: app-{number}, namespace: team-{team}}}
spec:
  podSelector: {{matchLabels: {{app: app-{number}}}}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - podSelector: {{matchLabels: {{tier: tier-0}}}}
    - namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: team-{other}}}}}
      podSelector: {{matchExpressions: [{{key: tier, operator: NotIn, values: [tier-2]}}]}}
    ports: [{{port: http}}, {{port: {}, endPort: {}}}]
  - from:
    - ipBlock: {{cidr: 198.{}.{}.0/24, except: [198.{}.{}.128/26]}}
  egress:
  - to:
    - podSelector: {{}}
    - namespaceSelector: {{matchExpressions: [{{key: zone, operator: In, values: [zone-0, zone-{}]}}]}}
  - ports: [{{port: 53, protocol: UDP}}, {{port: 53}}]
",
        9000 + number % 50,
        9100 + number % 50,
        18 + number / 250 % 2,
        number % 250,
        18 + number / 250 % 2,
        number % 250,
        team % 4
    );
}
