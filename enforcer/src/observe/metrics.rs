//! What Prometheus is told.

use super::described::{Builder, Described};
use crate::{
    apply::Totals,
    fitness::{Fact, Mark},
    nft,
};
use compiler::{
    Stats,
    ir::{Family, Name},
    program_direction,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family as Labelled, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Upper ends of the buckets of event to kernel, in ms; close together where its budgets lie.
const BOUNDS: [f64; 18] =
    [0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0, 50.0, 100.0, 300.0, 1000.0];

/// A direction in which pods are isolated: `ingress`, `egress`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

/// A kind of objects, as RBAC names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Resource {
    resource: &'static str,
}

/// A program, by the name that its chains begin with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfProgram {
    direction: &'static str,
    program: String,
}

/// A fact of this host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfFact {
    fact: &'static str,
}

/// What became of an Event: `written`, `dropped`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// Why a packet was dropped: the name of its counter in the ruleset.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: String,
}

/// All metrics, and whether a first revision is in force. Shared by the loop, which sets them, and the HTTP server.
#[derive(Debug)]
pub struct Metrics {
    page: (Registry, Vec<Described>),
    ready: AtomicBool,
    revision: Gauge,
    latency: Histogram,
    pods: Gauge,
    local_pods: Gauge,
    isolated: Labelled<Direction, Gauge>,
    policies: Gauge,
    programs: Gauge,
    elements: Gauge,
    quarantined: Gauge,
    limited: Gauge,
    transactions: Counter,
    refusals: Counter,
    drift: Counter,
    forgotten: Counter,
    problems: Gauge,
    reads: Counter,
    watch_restarts: Labelled<Resource, Counter>,
    kubernetes_events: Labelled<Outcome, Counter>,
    report_failures: Labelled<Resource, Counter>,
    node_facts: Labelled<OfFact, Gauge>,
    read_bytes: Labelled<Resource, Counter>,
    denied_packets: Labelled<OfProgram, Counter>,
    denied_bytes: Labelled<OfProgram, Counter>,
    dropped_packets: Labelled<Reason, Counter>,
    dropped_bytes: Labelled<Reason, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All of them at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut new = Builder::new();
        let latency = Histogram::new(BOUNDS.map(|milliseconds| milliseconds / 1000.0));
        let latency = new.seconds(
            "event_to_kernel",
            "From the source's notice of a change to the kernel's acknowledgement",
            latency,
        );
        new.info("build", "This program", &["version"], vec![("version", env!("CARGO_PKG_VERSION"))]);
        Self {
            latency,
            revision: new.gauge("revision", "Number of the ruleset in force"),
            pods: new.gauge("pods", "Pods of the cluster that policy sees"),
            local_pods: new.gauge("local_pods", "Pods of this node"),
            isolated: new.gauges("isolated_pods", &["direction"], "Pods of this node that are isolated"),
            policies: new.gauge("policies", "NetworkPolicies in force"),
            programs: new.gauge("programs", "Programs in the kernel"),
            elements: new.gauge("set_elements", "Elements of all sets and maps"),
            quarantined: new.gauge(
                "quarantined_pods",
                "Pods of this node that are denied because the kernel refused an object of theirs",
            ),
            limited: new.gauge(
                "limited_pods",
                "Pods of this node that are denied in some direction because their policies ask for more than the limits allow",
            ),
            transactions: new.counter("transactions", "Transactions that the kernel took"),
            refusals: new.counter("refusals", "Transactions that the kernel did not take"),
            drift: new.counter("drift_repaired", "Operations that undid somebody else's changes"),
            forgotten: new.counter("conntrack_forgotten", "Conntrack entries deleted: of dead addresses, and of flows that it had the wrong way round"),
            denied_packets: new.counters(
                "denied_packets",
                &["direction", "program"],
                "Packets that a program did not allow; a few of them pass all the same: errors about a tracked flow, and a pod's own to itself",
            ),
            denied_bytes: new.counters(
                "denied_bytes",
                &["direction", "program"],
                "Bytes of packets that a program did not allow",
            ),
            dropped_packets: new.counters("dropped_packets", &["reason"], "Packets dropped"),
            dropped_bytes: new.counters("dropped_bytes", &["reason"], "Bytes dropped"),
            problems: new.gauge("source_problems", "Objects and files of the source that are not used"),
            reads: new.counter("source_reads", "Readings of the source whose changes are in force"),
            watch_restarts: new.counters(
                "watch_restarts",
                &["resource"],
                "Watches of the API server that were begun again",
            ),
            read_bytes: new.counters(
                "api_read_bytes",
                &["resource"],
                "Bytes of lists and watches read from the API server",
            ),
            kubernetes_events: new.counters(
                "kubernetes_events",
                &["outcome"],
                "Events for people: `written`, or `dropped` because too many wait",
            ),
            report_failures: new.counters(
                "report_failures",
                &["resource"],
                "Writings of this node's status or of an Event that failed",
            ),
            node_facts: new.gauges(
                "node_fact",
                &["fact"],
                "Whether policy holds with a fact of this host: 0 yes, 1 yes but somebody should know, 2 no",
            ),
            ready: AtomicBool::new(false),
            page: new.finish(),
        }
    }

    /// Whether a first revision is in force.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// A first revision is in force.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// A change is in the kernel this long after it was seen.
    pub fn observe_latency(&self, latency: Duration) {
        self.latency.observe(latency.as_secs_f64());
    }

    /// This many readings of the source are in force.
    pub fn count_reads(&self, reads: u64) {
        self.reads.inc_by(reads);
    }

    /// How many things of the source are not used because something is wrong with them.
    pub fn set_problems(&self, count: usize) {
        self.problems.set(count as i64);
    }

    /// A watch of this resource is begun again.
    pub fn count_watch_restart(&self, resource: &'static str) {
        self.watch_restarts.get_or_create(&Resource { resource }).inc();
    }

    /// An Event for people was `written`, or `dropped` because too many wait.
    pub fn count_event(&self, outcome: &'static str) {
        self.kubernetes_events.get_or_create(&Outcome { outcome }).inc();
    }

    /// This node's status or an Event could not be written.
    pub fn count_report_failure(&self, resource: &'static str) {
        self.report_failures.get_or_create(&Resource { resource }).inc();
    }

    /// A fact of this host is so.
    pub fn set_fact(&self, fact: Fact, mark: Mark) {
        self.node_facts.get_or_create(&OfFact { fact: fact.label() }).set(mark as i64);
    }

    /// Sizes after a commit.
    pub fn set_state(&self, revision: u64, stats: &Stats, quarantined: usize, limited: usize) {
        self.revision.set(i64::try_from(revision).unwrap_or(i64::MAX));
        let sizes = [
            (&self.pods, stats.pods),
            (&self.local_pods, stats.local_pods),
            (&self.policies, stats.policies),
            (&self.programs, stats.programs),
            (&self.elements, stats.elements),
            (&self.quarantined, quarantined),
            (&self.limited, limited),
        ];
        for (gauge, size) in sizes {
            gauge.set(size as i64);
        }
        for (direction, count) in ["ingress", "egress"].into_iter().zip(stats.isolated) {
            self.isolated.get_or_create(&Direction { direction }).set(count as i64);
        }
    }

    /// What the engine has counted.
    pub fn set_totals(&self, totals: &Totals) {
        for (counter, total) in [
            (&self.transactions, totals.transactions),
            (&self.refusals, totals.refusals),
            (&self.drift, totals.drift_repaired),
            (&self.forgotten, totals.forgotten),
        ] {
            counter.inner().store(total, Ordering::Relaxed);
        }
    }

    /// Counts what is read of this resource.
    #[must_use]
    pub fn read_bytes(&self, resource: &'static str) -> Counter {
        self.read_bytes.get_or_create(&Resource { resource }).clone()
    }

    /// The kernel's counters, as they stand: one begins again at zero when its table or its program is made anew.
    pub fn set_dropped(&self, counters: &BTreeMap<(Family, Name), nft::Counter>) {
        // Programs that are gone are told no more.
        self.denied_packets.clear();
        self.denied_bytes.clear();
        for ((_, name), counted) in counters {
            if let Some(direction) = program_direction(name) {
                let program = OfProgram { direction: direction.name(), program: name.to_string() };
                self.denied_packets.get_or_create(&program).inner().store(counted.packets, Ordering::Relaxed);
                self.denied_bytes.get_or_create(&program).inner().store(counted.bytes, Ordering::Relaxed);
                continue;
            }
            let reason = Reason { reason: name.to_string() };
            self.dropped_packets.get_or_create(&reason).inner().store(counted.packets, Ordering::Relaxed);
            self.dropped_bytes.get_or_create(&reason).inner().store(counted.bytes, Ordering::Relaxed);
        }
    }

    /// Every metric, as [`Self::encode`] shows it once it has a value.
    #[must_use]
    pub fn described(&self) -> &[Described] {
        &self.page.1
    }

    /// In OpenMetrics' text format.
    ///
    /// # Errors
    /// None in practice: writing to memory.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.page.0)?;
        Ok(text)
    }
}
