//! A Deployment is restarted while its client goes on asking.

use super::super::{
    case::{Fault, wrong},
    first_packets::{PATIENCE, sent_again},
};
use super::scene::{CLIENTS, NAMESPACE, STRANGERS, Scene};
use crate::{cluster::agnhost_image, lab::Netns};
use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

const NAME: &str = "rolled";
const PORT: u16 = 80;
const REPLICAS: u8 = 3;
/// Between two requests of one client.
const EVERY: Duration = Duration::from_millis(20);
/// How long a stranger waits, who is not answered.
const STRANGERS_PATIENCE: Duration = Duration::from_millis(900);

const BOTH_ENDS: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: rolled}
spec:
  podSelector: {matchLabels: {app: rolled}}
  policyTypes: [Ingress, Egress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: client}}}]
      ports: [{port: 8080}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: clients}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: rolled}}}]}]
";

/// What came of one sender's requests.
#[derive(Debug, Default)]
struct Asked {
    answered: u32,
    failed: u32,
    /// When the first failed, and why.
    first: String,
}

pub(super) fn restarted(scene: &mut Scene) -> Result<String, Fault> {
    let found = under_policies(scene);
    scene.clear()?;
    let delete = ["delete", "deployment,service", "-n", NAMESPACE, "--ignore-not-found", NAME];
    scene.cluster().kubectl(&delete)?;
    let pods = ["delete", "pods", "-n", NAMESPACE, "-l", "app=rolled", "--wait", "--force"];
    scene.cluster().kubectl(&pods)?;
    found
}

fn under_policies(scene: &Scene) -> Result<String, Fault> {
    let labels = json!({"app": NAME});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME},
        "spec": {"replicas": REPLICAS, "selector": {"matchLabels": labels},
            // No moment with fewer than all of them, as who wants no request to fail has it.
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels}, "spec": {
                "automountServiceAccountToken": false, "enableServiceLinks": false, "terminationGracePeriodSeconds": 10,
                "containers": [{"name": "main", "image": agnhost_image()?, "imagePullPolicy": "Never",
                    "args": ["netexec", "--http-port=8080", "--udp-port=-1"],
                    "readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1},
                    // kube-proxies of all nodes need a moment to hear that it goes.
                    "lifecycle": {"preStop": {"sleep": {"seconds": 4}}}}]}}}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME},
        "spec": {"selector": labels, "ports": [{"port": PORT, "targetPort": 8080}]}});
    scene.apply(&deployment.to_string())?;
    scene.apply(&service.to_string())?;
    rolled_out(scene)?;
    let path = "jsonpath={.spec.clusterIP}";
    let address = scene.cluster().kubectl(&["get", "service", NAME, "-n", NAMESPACE, "-o", path])?;
    let Ok(address) = address.parse::<IpAddr>() else {
        return wrong(format!("the Service has the address `{address}`"));
    };
    let to = SocketAddr::new(address, PORT);
    let [client, stranger] = [CLIENTS, STRANGERS].map(|names| names.map(|name| scene.netns_of(name)));
    let (client, stranger) = (all(client)?, all(stranger)?);
    // Without policies everybody is answered.
    let begins = &mut || Ok(client.iter().chain(&stranger).all(|netns| answers(netns, to, PATIENCE)));
    if !scene.within_patience(begins)? {
        return wrong("without a policy not everybody is answered");
    }
    scene.apply(BOTH_ENDS)?;
    let in_force = &mut || {
        Ok(client.iter().all(|netns| answers(netns, to, PATIENCE))
            && !stranger.iter().any(|netns| answers(netns, to, STRANGERS_PATIENCE)))
    };
    if !scene.within_patience(in_force)? {
        return wrong("under the policies clients alone should be answered");
    }
    let stop = AtomicBool::new(false);
    let (asked, rolled) = thread::scope(|scope| {
        let clients = client.iter().map(|netns| (netns, PATIENCE));
        let strangers = stranger.iter().map(|netns| (netns, STRANGERS_PATIENCE));
        let stop = &stop;
        let askers: Vec<_> = clients
            .chain(strangers)
            .map(|(netns, patience)| scope.spawn(move || netns.enter(|| ask(to, patience, stop))))
            .collect();
        let rolled = scene
            .cluster()
            .kubectl(&["rollout", "restart", "-n", NAMESPACE, "deployment", NAME])
            .map_err(Fault::from)
            .and_then(|_| rolled_out(scene));
        stop.store(true, Ordering::Relaxed);
        let asked: Result<Vec<Asked>, Fault> = askers
            .into_iter()
            .map(|asker| match asker.join() {
                Ok(asked) => Ok(asked?),
                Err(_) => wrong("a client panicked"),
            })
            .collect();
        (asked, rolled)
    });
    rolled?;
    let asked = asked?;
    let (clients, strangers) = asked.split_at(client.len());
    let answered: u32 = clients.iter().map(|asked| asked.answered).sum();
    let failed: u32 = clients.iter().map(|asked| asked.failed).sum();
    let passed: u32 = strangers.iter().map(|asked| asked.answered).sum();
    let tried: u32 = passed + strangers.iter().map(|asked| asked.failed).sum::<u32>();
    if failed > 0 || passed > 0 || answered == 0 || tried == 0 {
        let first: Vec<&str> = clients.iter().map(|asked| &*asked.first).collect();
        return wrong(format!(
            "{answered} requests answered, {failed} failed ({}); {passed} of {tried} of strangers answered",
            first.join(", ")
        ));
    }
    Ok(format!("{answered} requests answered, 0 failed; 0 of {tried} of strangers answered"))
}

fn all(netns: [Result<Netns, Fault>; 2]) -> Result<Vec<Netns>, Fault> {
    netns.into_iter().collect()
}

/// Waits until all pods are of its last state, and ready.
fn rolled_out(scene: &Scene) -> Result<(), Fault> {
    let status = ["rollout", "status", "-n", NAMESPACE, "deployment", NAME, "--timeout=120s"];
    scene.cluster().kubectl(&status)?;
    Ok(())
}

fn answers(netns: &Netns, to: SocketAddr, patience: Duration) -> bool {
    netns.enter(|| get(to, patience)).is_ok_and(|answer| answer.is_ok())
}

/// Asks until it is told to stop, each time by a new connection.
fn ask(to: SocketAddr, patience: Duration, stop: &AtomicBool) -> Asked {
    let (begin, mut asked) = (Instant::now(), Asked::default());
    let mut next = begin;
    while !stop.load(Ordering::Relaxed) {
        // One whose first packet was lost has failed, though it is answered when that has been sent again.
        let before = sent_again();
        let answer = get(to, patience).and_then(|()| match sent_again()? - before? {
            0 => Ok(()),
            _ => Err(io::Error::other("its first packet was sent again")),
        });
        match answer {
            Ok(()) => asked.answered += 1,
            Err(error) => {
                if asked.failed == 0 {
                    asked.first = format!("the first {:.1?} after the begin: {error}", begin.elapsed());
                }
                asked.failed += 1;
            }
        }
        next = (next + EVERY).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    asked
}

/// One request, by HTTP.
fn get(to: SocketAddr, patience: Duration) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.connect_timeout(&to.into(), patience)?;
    socket.set_read_timeout(Some(patience))?;
    (&socket).write_all(b"GET /hostname HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    (&socket).read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.0 200") { Ok(()) } else { Err(io::Error::other(answer)) }
}
