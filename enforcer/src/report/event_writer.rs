//! Writes Events, slowly.

use super::{
    Event, Identity, Regarding,
    api::{Api, Place},
    attempts::Attempts,
    event::Count,
    ledger::Ledger,
};
use crate::{observe::metrics::Metrics, source::kube::Fault};
use k8s_openapi::jiff::Timestamp;
use std::{future::pending, sync::Arc, time::Instant};
use tokio::{
    sync::mpsc::Receiver,
    time::{sleep, sleep_until},
};

/// As RBAC names it.
const RESOURCE: &str = "events";

/// Until nobody tells any more.
pub(super) async fn run(metrics: Arc<Metrics>, api: Api, identity: Identity, mut events: Receiver<Event>) {
    let node = &*identity.node;
    let mut ledger = Ledger::new(node, Instant::now());
    let mut attempts = Attempts::new(RESOURCE, "Events", metrics.clone());
    loop {
        let next = ledger.next();
        let wait = async {
            match next {
                Some(at) => sleep_until(at.into()).await,
                None => pending().await,
            }
        };
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => {
                    if !ledger.note(event, Instant::now(), Timestamp::now()) {
                        metrics.count_event("dropped");
                    }
                }
                None => return,
            },
            () = wait => {}
        }
        while let Some((name, event, count)) = ledger.due(Instant::now()) {
            match write(&api, node, &name, &event, count).await {
                Ok(()) => {
                    metrics.count_event("written");
                    attempts.succeeded();
                    ledger.written(&name, Instant::now());
                }
                Err(fault) => {
                    let wait = attempts.failed(&fault, help(&fault));
                    ledger.failed(&name, Instant::now() + wait);
                    sleep(attempts.pause()).await;
                }
            }
        }
    }
}

/// What to do where the fault itself does not say it.
fn help(fault: &Fault) -> Option<String> {
    let words = "grant the verbs create and patch on events in API group \"\" by a ClusterRole";
    matches!(fault, Fault::Forbidden { .. }).then(|| words.into())
}

async fn write(api: &Api, node: &str, name: &str, event: &Event, count: Count) -> Result<(), Fault> {
    let uid = match &event.regarding {
        Regarding::Policy(key) => {
            let path = format!("/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies", key.namespace);
            let place = Place { resource: "networkpolicies.networking.k8s.io", path };
            match api.uid(&place, &key.name).await? {
                Some(uid) => Some(uid),
                // It is gone, and what was to be told of it with it.
                None => return Ok(()),
            }
        }
        Regarding::Node => None,
    };
    let path = format!("/api/v1/namespaces/{}/events", event.namespace());
    let body = event.to_json(node, uid.as_deref(), count);
    api.apply(&Place { resource: RESOURCE, path }, name, &body).await.map(drop)
}
