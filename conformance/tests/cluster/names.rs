//! CoreDNS, and policies that let pods ask it and nothing else.

use conformance::cluster::{Cluster, Engine, Options, agnhost_image};
use std::{
    thread,
    time::{Duration, Instant},
};

const OBJECTS: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: server}
spec:
  selector: {app: server}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec:
  nodeName: n1
  containers: [{name: server, image: IMAGE, args: [netexec], imagePullPolicy: Never}]
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec:
  nodeName: n2
  containers: [{name: client, image: IMAGE, args: [pause], imagePullPolicy: Never}]
"#;
const NOTHING: &str = r#"
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: client}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
"#;
/// As everybody writes it.
const DNS_ONLY: &str = r#"
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: client}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress:
    - to:
        - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
          podSelector: {matchLabels: {k8s-app: kube-dns}}
      ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
"#;
/// How long a policy or a Service may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `agnhost connect` says of a connection by name: nothing, `DNS: …` where the name has no address, `TIMEOUT` where the address does not answer.
fn connect(cluster: &Cluster) -> String {
    let name = "server.default.svc.cluster.local:80";
    let answer = cluster.kubectl(&["exec", "client", "--", "/agnhost", "connect", "--timeout=3s", name]);
    match answer {
        Ok(_) => "connected".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Asks until what is said has `expected` in it.
fn expect(cluster: &Cluster, expected: &str, when: &str) {
    let begin = Instant::now();
    loop {
        let said = connect(cluster);
        if said.contains(expected) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{when}: expected {expected}, and it was: {said}");
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_policy_that_lets_pods_ask_for_names_alone_lets_names_resolve_and_connects_nothing() {
    let mut options = Options::new("names");
    (options.workers, options.engine, options.dns) = (2, Engine::Palisade, true);
    let cluster = Cluster::start(&options).expect("a cluster");
    let image = agnhost_image().expect("agnhost");
    cluster.kubectl_with(&["apply", "-f", "-"], &OBJECTS.replace("IMAGE", &image)).expect("objects");
    cluster.kubectl(&["wait", "pod", "--all", "--for=condition=Ready", "--timeout=120s"]).expect("pods");
    expect(&cluster, "connected", "without a policy");
    cluster.kubectl_with(&["apply", "-f", "-"], NOTHING).expect("a policy");
    expect(&cluster, "DNS:", "with no egress");
    cluster.kubectl_with(&["apply", "-f", "-"], DNS_ONLY).expect("a policy");
    expect(&cluster, "TIMEOUT", "with DNS alone");
    cluster.kubectl(&["delete", "networkpolicy", "client"]).expect("deleted");
    expect(&cluster, "connected", "without the policy again");
}
