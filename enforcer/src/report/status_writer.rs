//! The node's Lease: its state in an annotation, renewed four times in the time after which it counts as dead.

use super::{
    Event, Identity, Shared, Status,
    api::{Api, Place},
    attempts::Attempts,
    event::hash,
    rate::Rate,
};
use crate::{
    apply::{Input, Question},
    source::kube::Fault,
};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    fs,
    sync::{Arc, mpsc::Sender},
    time::{Duration, Instant},
};
use tokio::{
    sync::oneshot,
    time::{sleep, sleep_until, timeout},
};
use tracing::error;

const RENEW: Duration = Duration::from_secs(15);
const LASTS: u32 = 60;
/// Not more often than this, however often the state changes.
const PAUSE: Duration = Duration::from_secs(1);
/// Writings a second of all nodes together, when the policies have changed for all of them.
const TOGETHER: u32 = 50;
/// The loop answers between two commits.
const ANSWER: Duration = Duration::from_secs(5);

/// The state.
const STATUS: &str = "palisade.dev/status";
/// Which host has written it: two with one name are two nodes that each believe to be the other.
const HOST: &str = "palisade.dev/host";

struct Writer {
    shared: Arc<Shared>,
    api: Api,
    identity: Identity,
    inputs: Sender<Input>,
    place: Place,
    host: String,
    rate: Rate,
    /// The version that the API server gave the last writing.
    version: Option<String>,
    since: Timestamp,
    is_contested: bool,
    /// How many there were at the last writing.
    nodes: usize,
}

pub(super) async fn run(shared: Arc<Shared>, api: Api, identity: Identity, inputs: Sender<Input>) {
    let namespace = &identity.namespace;
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
    let place = Place { resource: "leases.coordination.k8s.io", path };
    let mut writer = Writer {
        shared: shared.clone(),
        api,
        identity,
        inputs,
        place,
        host: host(),
        rate: Rate::default(),
        version: None,
        since: Timestamp::now(),
        is_contested: false,
        nodes: 0,
    };
    let mut attempts = Attempts::new(writer.place.resource, "this node's status", shared.metrics.clone());
    loop {
        let result = writer.write().await;
        let pause = match &result {
            Ok(()) => {
                attempts.succeeded();
                sleep(PAUSE).await;
                RENEW - PAUSE
            }
            Err(fault) => attempts.failed(fault, writer.help(fault)).max(PAUSE),
        };
        let until = tokio::time::Instant::now() + pause;
        tokio::select! {
            () = sleep_until(until) => {}
            // After a failure its own time counts, not that of what has changed.
            () = shared.changed.notified(), if result.is_ok() => {}
            () = async {
                shared.advanced.notified().await;
                sleep(turn(&writer.identity.node, writer.nodes)).await;
            }, if result.is_ok() => {}
        }
    }
}

impl Writer {
    async fn write(&mut self) -> Result<(), Fault> {
        let status = self.status().await;
        self.nodes = status.nodes;
        let dropped = status.dropped.map_or(0, |total| self.rate.per_minute(total, Instant::now()));
        let status = status.to_json(dropped);
        let name = self.identity.node.clone();
        match self.api.apply(&self.place, &name, &self.lease(&status)).await {
            Ok(stored) => {
                self.version = Some(stored.metadata.resource_version);
                Ok(())
            }
            // Somebody else has written it since.
            Err(Fault::Refused { code: 409, .. }) if self.version.take().is_some() => {
                let stored = self.api.get(&self.place, &name).await?;
                let other = stored.metadata.annotations.get(HOST).filter(|other| **other != self.host);
                self.contest(other.map(String::as_str));
                let stored = self.api.apply(&self.place, &name, &self.lease(&status)).await?;
                self.version = Some(stored.metadata.resource_version);
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    fn lease(&self, status: &Value) -> Value {
        let (node, namespace) = (&*self.identity.node, &*self.identity.namespace);
        let mut metadata = json!({
            "name": node,
            "namespace": namespace,
            "annotations": {STATUS: status.to_string(), HOST: self.host},
        });
        // Whoever has written it meanwhile is seen by this.
        if let Some(version) = &self.version {
            metadata["resourceVersion"] = version.as_str().into();
        }
        json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": node,
                "leaseDurationSeconds": LASTS,
                "renewTime": format!("{:.6}", Timestamp::now()),
            },
        })
    }

    /// What the loop says; one that has not begun yet says nothing.
    async fn status(&self) -> Status {
        let (sender, receiver) = oneshot::channel();
        let asked = self.inputs.send(Input::Ask(Question::Status(sender)));
        let answer = match asked {
            Ok(()) => timeout(ANSWER, receiver).await.ok().and_then(Result::ok),
            Err(_) => None,
        };
        let mut status = answer.unwrap_or_else(|| Status { since: self.since, ..Status::default() });
        status.last_error = status.last_error.or_else(|| self.shared.trouble());
        status
    }

    fn contest(&mut self, other: Option<&str>) {
        let Some(other) = other else { return };
        if std::mem::replace(&mut self.is_contested, true) {
            return;
        }
        let Identity { node, namespace } = &self.identity;
        let note = format!(
            "another host writes the Lease {namespace}/{node} too: two hosts run policyd as node {node}, and each \
             enforces for the pods of both"
        );
        error!(other, here = self.host, help = "give each its own --node-name", "{note}");
        let event = Event::node(true, "DuplicateNodeName", note);
        if self.shared.events.try_send(event).is_err() {
            self.shared.metrics.count_event("dropped");
        }
    }

    /// What to do where the fault itself does not say it.
    fn help(&self, fault: &Fault) -> Option<String> {
        let namespace = &self.identity.namespace;
        match fault {
            Fault::Forbidden { .. } => Some(format!(
                "grant the verbs create, get and patch on leases in API group \"coordination.k8s.io\" in namespace \
                 {namespace} by a Role"
            )),
            Fault::Refused { code: 404, .. } => Some(format!(
                "make the namespace {namespace}, or give --namespace the one that policyd is in"
            )),
            _ => None,
        }
    }
}

/// How long after a change for all `nodes` this one writes: each at its own place in a time that is long enough for all, and
/// never later than it would write anyway.
fn turn(node: &str, nodes: usize) -> Duration {
    let all = Duration::from_secs(1) * u32::try_from(nodes).unwrap_or(u32::MAX) / TOGETHER;
    let place = hash(node) % 1000;
    all.min(RENEW) * u32::try_from(place).unwrap_or_default() / 1000
}

/// Stays over restarts of policyd: the host's boot, and its network namespace.
fn host() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/net").unwrap_or_default();
    let number: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    format!("{}/{number}", boot.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_nodes_write_at_once_and_many_take_turns() {
        assert!(turn("w1", 0).is_zero());
        let latest = |nodes: usize| (0..nodes).map(|n| turn(&format!("worker-{n}"), nodes)).max().unwrap();
        assert!(latest(3) < Duration::from_millis(60));
        assert!(latest(500) > Duration::from_secs(8) && latest(500) < Duration::from_secs(10));
        assert!(latest(5_000) < RENEW);
        let first_second = (0..500).filter(|n| turn(&format!("worker-{n}"), 500) < Duration::from_secs(1));
        assert!((20..100).contains(&first_second.count()));
    }
}
