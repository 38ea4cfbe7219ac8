//! A registry that remembers what was registered, so that `docs/metrics.md` is made from the code.

use prometheus_client::{
    metrics::{counter::Counter, family::Family as Labelled, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Metric, Registry},
};
use std::fmt::Write;

/// Begins every name.
const PREFIX: &str = "palisade";

/// One metric, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// With prefix, unit and suffix.
    pub name: String,
    /// `counter`, `gauge`, `histogram`.
    pub kind: &'static str,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it counts.
    pub help: &'static str,
}

/// While metrics are made.
#[derive(Debug)]
pub(super) struct Builder {
    registry: Registry,
    described: Vec<Described>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self { registry: Registry::with_prefix(PREFIX), described: Vec::new() }
    }

    fn describe(
        &mut self,
        name: String,
        kind: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) {
        self.described.push(Described { name: format!("{PREFIX}_{name}"), kind, labels, help });
    }

    fn register<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        let metric = M::default();
        self.registry.register(name, help, metric.clone());
        metric
    }

    pub(super) fn gauge(&mut self, name: &str, help: &'static str) -> Gauge {
        self.describe(name.into(), "gauge", &[], help);
        self.register(name, help)
    }

    pub(super) fn counter(&mut self, name: &str, help: &'static str) -> Counter {
        self.describe(format!("{name}_total"), "counter", &[], help);
        self.register(name, help)
    }

    pub(super) fn gauges<L>(
        &mut self,
        name: &str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Labelled<L, Gauge>
    where
        Labelled<L, Gauge>: Metric + Clone + Default,
    {
        self.describe(name.into(), "gauge", labels, help);
        self.register(name, help)
    }

    pub(super) fn counters<L>(
        &mut self,
        name: &str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Labelled<L, Counter>
    where
        Labelled<L, Counter>: Metric + Clone + Default,
    {
        self.describe(format!("{name}_total"), "counter", labels, help);
        self.register(name, help)
    }

    pub(super) fn seconds(&mut self, name: &str, help: &'static str, histogram: Histogram) -> Histogram {
        self.describe(format!("{name}_seconds"), "histogram", &["le"], help);
        // The unit is in the name alone: strict readers know no `# UNIT` of a histogram.
        self.registry.register(format!("{name}_seconds"), help, histogram.clone());
        histogram
    }

    pub(super) fn info(
        &mut self,
        name: &str,
        help: &'static str,
        labels: &'static [&'static str],
        values: Vec<(&'static str, &'static str)>,
    ) {
        self.describe(format!("{name}_info"), "gauge", labels, help);
        self.registry.register(name, help, Info::new(values));
    }

    pub(super) fn finish(self) -> (Registry, Vec<Described>) {
        (self.registry, self.described)
    }
}

const HEAD: &str = "\
# Metrics of policyd

`GET /metrics` on the address of `--http` (default 127.0.0.1:9469), in OpenMetrics' text format, which Prometheus reads. Made from the code by
`enforcer/tests/metrics_page.rs` (`UPDATE_DOCS=1 cargo test -p enforcer --test metrics_page`); alerts on them are in `deploy/prometheus/rules.yaml`.

| metric | type | labels | meaning |
| --- | --- | --- | --- |
";

const TAIL: &str = "
`reason` is a counter of the ruleset: `denied` (no policy allows it), `stray` (from or to an address that no known pod has, so all of unknown pods), `overlay`,
`spoofed` (the guards, docs/operating.md), `unheard` (frames to groups, kept from pods that are isolated). `program` is the name by which `/v1/programs` shows its steps
and its pods. `fact` is as in `policyd check --output json`. Counters of packets begin again at zero when their table or program is made anew.
";

/// `docs/metrics.md`.
#[must_use]
pub fn markdown(described: &[Described]) -> String {
    let mut text = HEAD.to_owned();
    for Described { name, kind, labels, help } in described {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to memory cannot fail.
        let _ = writeln!(text, "| `{name}` | {kind} | {} | {help} |", labels.join(", "));
    }
    text + TAIL
}
