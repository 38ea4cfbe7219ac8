//! The state that questions are asked of.

use super::{Fault, Warning};
use policy_model::{
    cluster::{Change, Cluster},
    field::FieldPath,
    manifest::{EndpointSlice, Located, Location},
    object::{ObjectKey, Owner, Pod},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A cluster as a folder says it is.
///
/// - A workload stands for the pod of its template even where no pod of it is there: a pod called `name[Kind]`, which no
///   real pod can be called, without addresses. Where pods of it are there, they stand for it instead, and a workload whose
///   owner is there too (a ReplicaSet of a Deployment) stands for nothing.
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
        self.drop_represented_templates();
    }

    /// Removes the templates of workloads of which pods are there that have not ended.
    pub(super) fn drop_represented_templates(&mut self) {
        let templates = &mut self.templates;
        if templates.is_empty() {
            return;
        }
        let pods = self.cluster.pods().filter(|pod| !pod.terminal);
        let running: Vec<&Pod> = pods.filter(|pod| !templates.contains(&pod.key)).collect();
        let represented: BTreeSet<ObjectKey> = running
            .into_iter()
            .flat_map(|pod| owners(pod).map(|owner| template_key(&pod.key.namespace, &owner)))
            .filter_map(|key| templates.take(&key))
            .collect();
        for key in represented {
            self.cluster.apply(Change::PodDeleted(key));
        }
    }
}

/// The key under which a workload's template is a pod.
pub(super) fn template_key(namespace: &Arc<str>, workload: &Owner) -> ObjectKey {
    ObjectKey { namespace: namespace.clone(), name: format!("{}[{}]", workload.name, workload.kind).into() }
}

/// Whose a pod is: its first owner, and the workload that has made that one. The ReplicaSets of a Deployment are called
/// after it and their pods' `pod-template-hash`, the Jobs of a CronJob after it and a number.
pub fn owners(pod: &Pod) -> impl Iterator<Item = Owner> {
    let first = pod.owner.clone();
    let above = first.as_ref().and_then(|owner| {
        let (kind, name) = match &*owner.kind {
            "ReplicaSet" => {
                let hash = pod.labels.get("pod-template-hash")?;
                ("Deployment", owner.name.strip_suffix(&**hash)?.strip_suffix('-')?)
            }
            "Job" => {
                let (name, number) = owner.name.rsplit_once('-')?;
                let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
                ("CronJob", Some(name).filter(|_| is_number)?)
            }
            _ => return None,
        };
        Some(Owner { kind: kind.into(), name: name.into() })
    });
    first.into_iter().chain(above)
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
