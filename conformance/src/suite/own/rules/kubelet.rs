//! What the kubelet asks of its pods.

use super::super::case::{Fault, wrong};
use super::{
    cells::{Cells, tcp, udp},
    scene::{NAMESPACE, NODES, STRANGERS, Scene, pod},
};
use serde_json::json;
use std::{thread, time::Duration};

/// How long probes go on, one a second, each of which may end the pod.
const MOMENT: Duration = Duration::from_secs(6);
const PODS: [&str; 2] = ["probed-1", "probed-2"];

const CLOSED: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: everybody}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
";

pub(super) fn probes(scene: &mut Scene) -> Result<String, Fault> {
    scene.apply(CLOSED)?;
    let found = under_deny(scene);
    scene.clear()?;
    let mut cells = Cells::of(scene);
    if found.is_ok() {
        for (pod, stranger) in PODS.iter().flat_map(|pod| STRANGERS.map(|stranger| (pod, stranger))) {
            cells.open(stranger, pod, &[tcp(7000), udp(7000)])?;
        }
        cells.require("once the policy is deleted", |cell| cell.alone)?;
    }
    let delete = ["delete", "pod", "-n", NAMESPACE, "--ignore-not-found", "--wait", PODS[0], PODS[1]];
    scene.cluster().kubectl(&delete)?;
    found
}

fn under_deny(scene: &mut Scene) -> Result<String, Fault> {
    for (i, name) in PODS.into_iter().enumerate() {
        let mut object = pod(name, "probed", scene.cluster().nodes()[i].name())?;
        // A busy machine may be late for a second; what is denied is never answered.
        let timing = json!({"periodSeconds": 1, "timeoutSeconds": 3, "failureThreshold": 1});
        let probe = |asked: &str, port: u16| {
            let mut probe = timing.clone();
            probe[asked] = json!({"port": port});
            probe
        };
        let container = &mut object["spec"]["containers"][0];
        container["args"] = json!(["netexec", "--http-port=8080"]);
        container["startupProbe"] = probe("tcpSocket", 8080);
        container["startupProbe"]["failureThreshold"] = json!(60);
        container["readinessProbe"] = probe("httpGet", 8080);
        container["livenessProbe"] = probe("tcpSocket", 8080);
        scene.apply(&object.to_string())?;
    }
    scene.wait_for_pods()?;
    for (number, name) in (1..).zip(PODS) {
        scene.adopt(name, number)?;
    }
    let mut cells = Cells::of(scene);
    for i in [0, 1] {
        for stranger in STRANGERS {
            cells.shut(stranger, PODS[i], &[tcp(7000), udp(7000)])?;
        }
        cells.shut(NODES[1 - i], PODS[i], &[tcp(7000)])?;
    }
    cells.require("under the policy", |cell| cell.judged)?;
    thread::sleep(MOMENT);
    let path = r#"jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].ready} {.status.containerStatuses[0].restartCount}{"\n"}{end}"#;
    let said = scene.cluster().kubectl(&["get", "pods", "-n", NAMESPACE, "-l", "app=probed", "-o", path])?;
    let expected: String = PODS.iter().map(|name| format!("{name} true 0\n")).collect();
    if said != expected {
        return wrong(format!("pods, ready, restarts: {said}"));
    }
    Ok(format!("2 pods ready after {MOMENT:?} of probes, without a restart"))
}
