//! Writes Events, slowly.

use super::{
    Event, Identity, Regarding,
    api::{Api, Place},
    event::Count,
    ledger::Ledger,
};
use crate::{
    observe::metrics::Metrics,
    source::kube::{Backoff, Fault},
};
use k8s_openapi::jiff::Timestamp;
use std::{
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc::Receiver,
    time::{sleep, sleep_until},
};
use tracing::{info, warn};

/// What an API server forbids it may allow some day.
const FORBIDDEN: Duration = Duration::from_secs(300);

/// Until nobody tells any more.
pub(super) async fn run(metrics: Arc<Metrics>, api: Api, identity: Identity, mut events: Receiver<Event>) {
    let node = &*identity.node;
    let mut ledger = Ledger::new(node, Instant::now());
    let mut backoff = Backoff::default();
    let mut said: Option<String> = None;
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
                    backoff.reset();
                    ledger.written(&name, Instant::now());
                    if said.take().is_some() {
                        info!("Events are written again");
                    }
                }
                Err(fault) => {
                    metrics.count_report_failure("events");
                    let text = fault.to_string();
                    if said.as_ref() != Some(&text) {
                        let help = match &fault {
                            Fault::Forbidden { .. } => {
                                "grant the verbs create and patch on events in API group \"\" by a ClusterRole".into()
                            }
                            fault => fault.help(),
                        };
                        warn!(help, "Events cannot be written, policies are enforced all the same: {text}");
                        said = Some(text);
                    }
                    let wait = match &fault {
                        Fault::Forbidden { .. } => FORBIDDEN,
                        fault => backoff.wait(fault.retry_after()),
                    };
                    ledger.failed(&name, Instant::now() + wait);
                    // Whatever it is, the others suffer from it too.
                    sleep(backoff.wait(None)).await;
                }
            }
        }
    }
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
    api.apply(&Place { resource: "events", path }, name, &body).await.map(drop)
}
