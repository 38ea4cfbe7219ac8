//! The state that questions are asked of.

use super::{Fault, Warning};
use policy_model::{
    cluster::Cluster,
    field::FieldPath,
    manifest::{EndpointSlice, Located, Location},
    object::{ObjectKey, Pod},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A cluster as a folder says it is.
///
/// - A workload stands for the pod of its template even where no pod of it is there: a pod called `name[Kind]`, which no
///   real pod can be called, without addresses. Where pods whose first owner it is are there, they stand for it instead.
/// - A namespace that is used but not defined has the one label that an API server sets.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The objects. Templates of workloads are pods of it.
    pub cluster: Cluster,
    /// The pods of [`Self::cluster`] that are templates.
    pub templates: BTreeSet<ObjectKey>,
    /// Who is behind each Service, where EndpointSlices say so.
    pub slices: BTreeMap<ObjectKey, Vec<EndpointSlice>>,
    /// Namespaces that are being deleted.
    pub terminating: BTreeSet<Arc<str>>,
    /// What is refused. Answers are about the rest.
    pub faults: Vec<Fault>,
    /// What a reader should know.
    pub warnings: Vec<Warning>,
    /// How many objects of each `apiVersion kind` policy does not need.
    pub skipped: BTreeMap<String, usize>,
    /// Where each policy stands.
    pub(super) policies: BTreeMap<ObjectKey, Located<()>>,
}

/// The kind of what stands for itself: a pod without an owner.
pub const POD: &str = "Pod";

impl Snapshot {
    /// A snapshot of a cluster that does not come from files.
    #[must_use]
    pub fn of(cluster: Cluster) -> Self {
        Self { cluster, ..Self::default() }
    }

    /// Where a field of a policy stands, if the policy comes from a file.
    #[must_use]
    pub fn place(&self, policy: &ObjectKey, field: &FieldPath) -> Option<Location> {
        self.policies.get(policy).map(|located| located.field(field))
    }

    /// Whether the text of a policy has a field; no if the policy does not come from a file.
    #[must_use]
    pub fn has_field(&self, policy: &ObjectKey, field: &FieldPath) -> bool {
        self.policies.get(policy).is_some_and(|located| located.has_field(field))
    }

    /// Whether this pod is a workload's template.
    #[must_use]
    pub fn is_template(&self, pod: &ObjectKey) -> bool {
        self.templates.contains(pod)
    }

    /// The same objects, without what was wrong where they were read.
    #[must_use]
    pub fn objects_alone(&self) -> Self {
        Self {
            cluster: self.cluster.clone(),
            templates: self.templates.clone(),
            slices: self.slices.clone(),
            terminating: self.terminating.clone(),
            policies: self.policies.clone(),
            ..Self::default()
        }
    }

    /// Warns if there is nothing to ask about.
    pub(crate) fn note_emptiness(&mut self) {
        if self.cluster.pods().len() == 0 && self.cluster.policies().len() == 0 {
            self.warnings.push(Warning::Empty);
        } else if self.cluster.policies().len() == 0 {
            self.warnings.push(Warning::NoPolicies);
        }
    }

    /// Takes the objects of another snapshot in, over those of the same name.
    pub fn overlay(&mut self, other: Self) {
        let Self { cluster, templates, slices, terminating, faults, warnings, skipped, policies } = other;
        self.cluster.extend(cluster.changes());
        self.templates.extend(templates);
        self.slices.extend(slices);
        self.terminating.extend(terminating);
        self.faults.extend(faults);
        self.warnings.extend(warnings.into_iter().filter(|warning| *warning != Warning::NoPolicies));
        for (kind, count) in skipped {
            *self.skipped.entry(kind).or_default() += count;
        }
        self.policies.extend(policies);
    }
}

/// `ns/name[Kind]` of what a pod counts under: its first owner, unless that is its node; else itself. An owner that does
/// not say its kind is taken for a pod.
#[must_use]
pub fn workload_name(pod: &Pod) -> String {
    let namespace = &pod.key.namespace;
    match pod.owner.as_ref().filter(|owner| &*owner.kind != "Node" && !owner.name.is_empty()) {
        Some(owner) if owner.kind.is_empty() => format!("{namespace}/{}[{POD}]", owner.name),
        Some(owner) => format!("{namespace}/{}[{}]", owner.name, owner.kind),
        None => format!("{namespace}/{}[{POD}]", pod.key.name),
    }
}
