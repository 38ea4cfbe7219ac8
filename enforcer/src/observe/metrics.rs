//! What Prometheus is told.

use crate::{
    apply::Totals,
    fitness::{Fact, Mark},
    nft,
};
use compiler::{
    Stats,
    ir::{Family, Name},
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family as Labelled,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

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
    registry: Registry,
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
        let mut registry = Registry::with_prefix("palisade");
        // 0.1 ms to 1.6 s.
        let latency = Histogram::new(exponential_buckets(0.0001, 2.0, 15));
        registry.register_with_unit(
            "event_to_kernel",
            "From the source's notice of a change to the kernel's acknowledgement",
            Unit::Seconds,
            latency.clone(),
        );
        registry.register("build", "This program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        Self {
            revision: gauge(&mut registry, "revision", "Number of the ruleset in force"),
            pods: gauge(&mut registry, "pods", "Pods of the cluster that policy sees"),
            local_pods: gauge(&mut registry, "local_pods", "Pods of this node"),
            isolated: labelled(&mut registry, "isolated_pods", "Pods of this node that are isolated"),
            policies: gauge(&mut registry, "policies", "NetworkPolicies in force"),
            programs: gauge(&mut registry, "programs", "Programs in the kernel"),
            elements: gauge(&mut registry, "set_elements", "Elements of all sets and maps"),
            quarantined: gauge(
                &mut registry,
                "quarantined_pods",
                "Pods of this node that are denied because the kernel refused an object of theirs",
            ),
            transactions: counter(&mut registry, "transactions", "Transactions that the kernel took"),
            refusals: counter(&mut registry, "refusals", "Transactions that the kernel did not take"),
            drift: counter(&mut registry, "drift_repaired", "Operations that undid somebody else's changes"),
            forgotten: counter(
                &mut registry,
                "conntrack_forgotten",
                "Conntrack entries of dead addresses deleted",
            ),
            problems: gauge(
                &mut registry,
                "source_problems",
                "Objects and files of the source that are not used",
            ),
            reads: counter(
                &mut registry,
                "source_reads",
                "Readings of the source whose changes are in force",
            ),
            watch_restarts: labelled(
                &mut registry,
                "watch_restarts",
                "Watches of the API server that were begun again, by resource",
            ),
            kubernetes_events: labelled(
                &mut registry,
                "kubernetes_events",
                "Events written for people, or dropped because too many wait",
            ),
            report_failures: labelled(
                &mut registry,
                "report_failures",
                "Writings of this node's status or of an Event that failed",
            ),
            node_facts: labelled(
                &mut registry,
                "node_fact",
                "Whether policy holds with a fact of this host: 0 yes, 1 yes but somebody should know, 2 no",
            ),
            dropped_packets: labelled(
                &mut registry,
                "dropped_packets",
                "Packets dropped, by counter of the ruleset",
            ),
            dropped_bytes: labelled(
                &mut registry,
                "dropped_bytes",
                "Bytes dropped, by counter of the ruleset",
            ),
            registry,
            ready: AtomicBool::new(false),
            latency,
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
    pub fn set_state(&self, revision: u64, stats: &Stats, quarantined: usize) {
        self.revision.set(i64::try_from(revision).unwrap_or(i64::MAX));
        let sizes = [
            (&self.pods, stats.pods),
            (&self.local_pods, stats.local_pods),
            (&self.policies, stats.policies),
            (&self.programs, stats.programs),
            (&self.elements, stats.elements),
            (&self.quarantined, quarantined),
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

    /// The kernel's counters, as they stand: it begins again at zero when a table is made anew.
    pub fn set_dropped(&self, counters: &BTreeMap<(Family, Name), nft::Counter>) {
        for ((_, name), counted) in counters {
            let reason = Reason { reason: name.to_string() };
            self.dropped_packets.get_or_create(&reason).inner().store(counted.packets, Ordering::Relaxed);
            self.dropped_bytes.get_or_create(&reason).inner().store(counted.bytes, Ordering::Relaxed);
        }
    }

    /// In Prometheus' text format.
    ///
    /// # Errors
    /// None in practice: writing to memory.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

fn labelled<L, M>(registry: &mut Registry, name: &str, help: &str) -> Labelled<L, M>
where
    Labelled<L, M>: prometheus_client::registry::Metric + Clone + Default,
{
    let family = Labelled::default();
    registry.register(name, help, family.clone());
    family
}
