//! Objects to a snapshot, with the blanks filled.

use super::{Fault, Snapshot, Warning, parallel::Item, snapshot::template_key};
use crate::assertions::TestFile;
use policy_model::{
    manifest::{Located, Location, Object, Parsed, Workload},
    object::{ObjectKey, Owner, Pod},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Takes parsed texts in, one after the other.
pub(super) struct Builder {
    namespace: Option<Arc<str>>,
    snapshot: Snapshot,
    /// Templates, until it is known which workloads have pods.
    workloads: BTreeMap<ObjectKey, Workload>,
    /// Where each object was seen first, by kind and name.
    seen: BTreeMap<String, Location>,
}

impl Builder {
    pub(super) fn new(namespace: Option<&str>) -> Self {
        let namespace = namespace.map(Arc::from);
        Self { namespace, snapshot: Snapshot::default(), workloads: BTreeMap::new(), seen: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, item: Item) {
        match item {
            Item::Parsed { parsed, text } => self.parsed(parsed, text.unwrap_or_default()),
            Item::Refused(fault) => self.snapshot.faults.push(fault),
            Item::Unread(note) => self.snapshot.warnings.push(note),
        }
    }

    fn parsed(&mut self, parsed: Parsed, text: Arc<String>) {
        if is_test_file(&parsed, &text) {
            *self.snapshot.skipped.entry("test file".to_owned()).or_default() += 1;
            return;
        }
        let faults = parsed.problems.into_iter().map(|problem| Fault::manifest(problem, &text));
        self.snapshot.faults.extend(faults);
        for skipped in parsed.skipped {
            let kind = format!("{} {}", skipped.api_version, skipped.kind);
            *self.snapshot.skipped.entry(kind).or_default() += 1;
        }
        self.snapshot.terminating.extend(parsed.terminating);
        for slice in parsed.slices {
            let (mut slice, place) = slice.split();
            if let (Some(namespace), false) = (&self.namespace, place.names_namespace) {
                slice.service.namespace = namespace.clone();
            }
            self.snapshot.slices.entry(slice.service.clone()).or_default().push(slice);
        }
        parsed.objects.into_iter().for_each(|object| self.object(object));
    }

    fn object(&mut self, located: Located<Object>) {
        let (mut object, place) = located.split();
        if let (Some(namespace), false) = (&self.namespace, place.names_namespace) {
            object = in_namespace(object, namespace);
        }
        let name = object.to_string();
        if let Some(first) = self.seen.get(&name) {
            let (first, second) = (first.to_string(), place.location.to_string());
            self.snapshot.warnings.push(Warning::Duplicate { object: name, first, second });
        } else {
            self.seen.insert(name, place.location.clone());
        }
        match object {
            Object::Workload(workload) => {
                let ObjectKey { namespace, name } = workload.pod.key.clone();
                let itself = Owner { kind: workload.kind.clone(), name };
                self.workloads.insert(template_key(&namespace, &itself), workload);
            }
            other => {
                if let Object::Policy(policy) = &other {
                    self.snapshot.policies.insert(policy.key.clone(), place);
                }
                self.snapshot.cluster.extend(other.into_change());
            }
        }
    }

    pub(super) fn finish(self) -> Snapshot {
        let has_owner = |(key, workload): &(&ObjectKey, &Workload)| {
            let owner = workload.owner.as_ref().map(|owner| template_key(&key.namespace, owner));
            owner.is_some_and(|owner| self.workloads.contains_key(&owner))
        };
        let owned: BTreeSet<ObjectKey> =
            self.workloads.iter().filter(has_owner).map(|(key, _)| key.clone()).collect();
        let Self { mut snapshot, workloads, .. } = self;
        for (key, workload) in workloads.into_iter().filter(|(key, _)| !owned.contains(key)) {
            snapshot.templates.insert(key.clone());
            snapshot.cluster.insert_pod(Pod { key, ..workload.pod });
        }
        snapshot.drop_represented_templates();
        snapshot.note_emptiness();
        snapshot
    }
}

/// Whether a text is a whole and sound test file: these often lie beside the manifests that they are about.
fn is_test_file(parsed: &Parsed, text: &str) -> bool {
    let is_no_manifest = parsed.objects.is_empty() && parsed.skipped.is_empty() && parsed.problems.len() == 1;
    is_no_manifest && TestFile::parse(text).is_ok()
}

/// The same object in another namespace, if its kind has one.
fn in_namespace(mut object: Object, namespace: &Arc<str>) -> Object {
    let key = match &mut object {
        Object::Pod(pod) => &mut pod.key,
        Object::Service(service) => &mut service.key,
        Object::Policy(policy) => &mut policy.key,
        Object::Workload(workload) => &mut workload.pod.key,
        Object::Namespace(_) | Object::Node(_) => return object,
    };
    key.namespace = namespace.clone();
    object
}
