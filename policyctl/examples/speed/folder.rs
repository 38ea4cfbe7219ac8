//! A made-up company: teams of 25 workloads, each with a policy of its own.

use std::{fmt::Write, fs, io, path::Path};

/// How many workloads a team has.
const TEAM: usize = 25;

/// Writes `size` Deployments, each with a pod, and as many policies: a file a namespace, everything is the same each time.
pub(crate) fn write(path: &Path, size: usize) -> io::Result<()> {
    fs::create_dir_all(path)?;
    let teams = size.div_ceil(TEAM);
    for team in 0..teams {
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
        fs::write(path.join(format!("team-{team}.yaml")), text)?;
    }
    Ok(())
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
