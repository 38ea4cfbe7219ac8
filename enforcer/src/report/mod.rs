//! What this node tells the cluster: its state, as one Lease in Palisade's namespace, and Events on what people should look
//! at. Enforcement never waits for any of it, and goes on without it.
//!
//! ```text
//!   the loop ──(something is new)──┐                       ┌── Lease palisade-system/NODE
//!   the loop, the host's checks ──(Event)── Reporter ── tasks ── Events on policies and on the Node
//! ```

mod api;
mod attempts;
mod event;
mod event_writer;
mod ledger;
mod rate;
mod status;
mod status_writer;
pub mod survey;

pub use event::{Event, Regarding};
pub use status::{State, Status};

use crate::{apply::Input, observe::metrics::Metrics, source::kube::Connection};
use api::Api;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, mpsc::Sender},
};
use tokio::sync::{Notify, mpsc};

/// Palisade's own namespace, unless it is set.
pub const NAMESPACE: &str = "palisade-system";
/// Events that wait to be taken; more of them are one thing too many to tell, and counted.
const WAITING: usize = 256;

/// Where everybody says what is to be told. Cheap to clone; never waits.
#[derive(Clone, Debug, Default)]
pub struct Reporter(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    changed: Notify,
    /// Newer policies are in force.
    advanced: Notify,
    events: mpsc::Sender<Event>,
    metrics: Arc<Metrics>,
    /// What the source suffers from, by resource.
    troubles: Mutex<BTreeMap<&'static str, String>>,
}

/// The other end, until its tasks are started.
#[derive(Debug)]
pub struct Reports {
    shared: Arc<Shared>,
    events: mpsc::Receiver<Event>,
}

/// Who tells, and where.
#[derive(Clone, Debug)]
pub struct Identity {
    /// `--node-name`.
    pub node: Arc<str>,
    /// `--namespace`.
    pub namespace: Arc<str>,
}

/// Both ends.
#[must_use]
pub fn channel(metrics: Arc<Metrics>) -> (Reporter, Reports) {
    let (sender, events) = mpsc::channel(WAITING);
    let (changed, advanced) = (Notify::new(), Notify::new());
    let shared = Shared { changed, advanced, events: sender, metrics, troubles: Mutex::default() };
    let shared = Arc::new(shared);
    (Reporter(Some(shared.clone())), Reports { shared, events })
}

impl Reporter {
    /// Tells nobody: where the source is no API server.
    #[must_use]
    pub fn silent() -> Self {
        Self::default()
    }

    /// Whether anybody is told.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.0.is_none()
    }

    /// The node's status is another now; whoever writes it asks the loop for it.
    pub fn changed(&self) {
        if let Some(shared) = &self.0 {
            shared.changed.notify_one();
        }
    }

    /// Newer policies are in force here. All nodes say so at about the same time, so each takes its turn.
    pub fn advanced(&self) {
        if let Some(shared) = &self.0 {
            shared.advanced.notify_one();
        }
    }

    /// Something that people should know.
    pub fn tell(&self, event: Event) {
        if let Some(shared) = &self.0
            && shared.events.try_send(event).is_err()
        {
            shared.metrics.count_event("dropped");
        }
    }

    /// A kind of objects cannot be followed now, or can again.
    pub fn trouble(&self, resource: &'static str, what: Option<&str>) {
        let Some(shared) = &self.0 else { return };
        let mut troubles = shared.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = match what {
            Some(what) => troubles.insert(resource, what.into()).as_deref() != Some(what),
            None => troubles.remove(resource).is_some(),
        };
        drop(troubles);
        if changed {
            shared.changed.notify_one();
        }
    }
}

impl Reports {
    /// Writes until the runtime ends. Must be called in a tokio runtime.
    pub fn start(self, connection: Arc<Connection>, identity: Identity, inputs: Sender<Input>) {
        let api = Api::new(connection);
        let Self { shared, events } = self;
        tokio::spawn(status_writer::run(shared.clone(), api.clone(), identity.clone(), inputs));
        tokio::spawn(event_writer::run(shared.metrics.clone(), api, identity, events));
    }
}

impl Shared {
    fn trouble(&self) -> Option<String> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.values().next().cloned()
    }
}
