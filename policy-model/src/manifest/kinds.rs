//! From a document's tree to the objects in it, by `apiVersion` and `kind`.

use super::{
    EndpointSlice, Located, Object, Parsed, Problem, Skipped, Workload,
    fields::{self, Fields},
    location::{Location, Mark},
    schema, suggest,
    tree::{Data, Fault, Node},
    typed,
};
use crate::{
    admission::{self, ObjectRef, Rejection},
    field::FieldPath,
};
use k8s_openapi::{
    api::core::v1::PodTemplateSpec, apimachinery::pkg::apis::meta::v1::ObjectMeta,
    serde::de::DeserializeOwned,
};
use std::sync::Arc;

/// The kinds that policy needs, with the only version of each that a cluster of today serves.
const KINDS: [(&str, &str); 13] = [
    ("Pod", "v1"),
    ("Namespace", "v1"),
    ("Node", "v1"),
    ("Service", "v1"),
    ("NetworkPolicy", "networking.k8s.io/v1"),
    ("Deployment", "apps/v1"),
    ("StatefulSet", "apps/v1"),
    ("DaemonSet", "apps/v1"),
    ("ReplicaSet", "apps/v1"),
    ("Job", "batch/v1"),
    ("CronJob", "batch/v1"),
    ("ReplicationController", "v1"),
    (ENDPOINT_SLICE, "discovery.k8s.io/v1"),
];

/// The kind that is read, but is no [`Object`].
const ENDPOINT_SLICE: &str = "EndpointSlice";

/// Where a workload's pod template is.
const TEMPLATE: [&str; 2] = ["spec", "template"];
/// Where a CronJob's pod template is.
const CRON_TEMPLATE: [&str; 4] = ["spec", "jobTemplate", "spec", "template"];

/// Collects what a text holds.
pub(super) struct Reader {
    pub(super) file: Arc<str>,
    pub(super) parsed: Parsed,
}

/// What is said about objects that need not say it again: by a list of one kind about its items.
#[derive(Clone, Copy)]
struct Inherited<'a> {
    api_version: &'a str,
    kind: &'a str,
}

impl Reader {
    /// A document that cannot be read.
    pub(super) fn refuse_document(&mut self, fault: Fault) {
        let Fault { at, message, help } = fault;
        self.problem(at, None, FieldPath::root(), None, message, help);
    }

    /// A document: an object, or a list of them.
    pub(super) fn document(&mut self, node: &Node<'_>) {
        self.object(node, None);
    }

    fn object(&mut self, node: &Node<'_>, inherited: Option<Inherited<'_>>) {
        if node.as_map().is_none() {
            let message = "a document must be an object: a map with apiVersion, kind and metadata";
            return self.problem(node.at, None, FieldPath::root(), None, message.to_owned(), None);
        }
        let text = |field| node.get(field).and_then(|value| value.as_text()).filter(|text| !text.is_empty());
        let inherited = inherited.or_else(|| self.of_file_name());
        let api_version = text("apiVersion").or(inherited.map(|list| list.api_version));
        let kind = text("kind").or(inherited.map(|list| list.kind));
        let (Some(api_version), Some(kind)) = (api_version, kind) else {
            let missing = if kind.is_none() { "kind" } else { "apiVersion" };
            let help = "every Kubernetes object says its apiVersion and kind".to_owned();
            let message = format!("the object has no {missing}");
            return self.problem(node.at, None, FieldPath::root(), None, message, Some(help));
        };
        match kind.strip_suffix("List").zip(node.get("items")) {
            Some((of, items)) => self.list(node, items, Inherited { api_version, kind: of }),
            None => self.known_or_skipped(node, api_version, kind),
        }
    }

    /// What a file's name says about an object that says nothing: kustomize goes by its own files' names.
    fn of_file_name(&self) -> Option<Inherited<'static>> {
        let name = self.file.rsplit(['/', '\\']).next().unwrap_or_default();
        matches!(name, "kustomization.yaml" | "kustomization.yml" | "Kustomization")
            .then_some(Inherited { api_version: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization" })
    }

    /// The items of a list stand each for itself; a fault of the list's own map concerns them all.
    fn list(&mut self, list: &Node<'_>, items: &Node<'_>, inherited: Inherited<'_>) {
        let faults = list.as_map().map(|map| map.faults.as_slice()).unwrap_or_default();
        if !faults.is_empty() {
            return faults.iter().for_each(|fault| self.refuse_document(fault.clone()));
        }
        // A plain `List` says nothing about its items.
        let inherited = Some(inherited).filter(|list| !list.kind.is_empty());
        match &items.data {
            Data::List(items) => items.iter().for_each(|item| self.object(item, inherited)),
            _ if items.is_null() => {}
            _ => {
                let path = FieldPath::root().field("items");
                self.problem(items.at, None, path, None, "items must be a list".to_owned(), None);
            }
        }
    }

    fn known_or_skipped(&mut self, node: &Node<'_>, api_version: &str, kind: &str) {
        let object = object_ref(node, kind);
        let version_of =
            |kind: &str| KINDS.iter().find(|(known, _)| *known == kind).map(|(_, version)| *version);
        let (field, message, help) = match version_of(kind) {
            Some(version) if version == api_version => return self.known(node, kind, object),
            // Someone else's kind of the same name, such as projectcalico.org/v3 NetworkPolicy.
            Some(_) if is_foreign(api_version) => return self.skip(node, api_version, kind),
            Some(version) => {
                let message = format!("{api_version} {kind} is not served by any cluster of today");
                ("apiVersion", message, format!("use {version}"))
            }
            None => match suggest::nearest(kind, KINDS.iter().map(|(known, _)| *known)) {
                // A misspelt policy must not be passed over in silence.
                Some(meant) if version_of(meant) == Some(api_version) => (
                    "kind",
                    format!("there is no kind {kind} in {api_version}"),
                    format!("did you mean {meant}?"),
                ),
                _ => return self.skip(node, api_version, kind),
            },
        };
        let path = FieldPath::root().field(field);
        self.problem(fields::nearest(node, &path), Some(object), path, None, message, Some(help));
    }

    fn skip(&mut self, node: &Node<'_>, api_version: &str, kind: &str) {
        let location = Location::new(&self.file, node.at);
        self.parsed.skipped.push(Skipped {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            location,
        });
    }

    fn known(&mut self, node: &Node<'_>, kind: &str, object: ObjectRef) {
        let before = self.parsed.problems.len();
        self.faults(node, &object, &FieldPath::root());
        let shape = if kind == "NetworkPolicy" { &schema::NETWORK_POLICY } else { &schema::ANY_OBJECT };
        for misfit in schema::misfits(node, shape) {
            let schema::Misfit { path, at, value, message, help } = misfit;
            self.problem(at, Some(object.clone()), path, value, message, help);
        }
        if self.parsed.problems.len() > before {
            return;
        }
        let read = if kind == ENDPOINT_SLICE { self.slice(node) } else { convert(node, kind).map(Some) };
        match read {
            Ok(None) => {}
            Ok(Some(value)) => {
                if let Object::Namespace(namespace) = &value
                    && is_terminating(node)
                {
                    self.parsed.terminating.push(namespace.name.clone());
                }
                let is_policy = matches!(value, Object::Policy(_));
                let fields = if is_policy { Fields::of(node) } else { Fields::default() };
                let location = Location::new(&self.file, node.at);
                let names_namespace = metadata(node, "namespace").is_some();
                self.parsed.objects.push(Located { value, location, names_namespace, fields });
            }
            Err(Refused::Type { path, message }) => {
                let at = fields::nearest(node, &path);
                self.problem(at, Some(object), path, None, message, None);
            }
            Err(Refused::Admission(rejection)) => {
                for problem in rejection.problems {
                    let admission::Problem { object, path, value, message, help } = problem;
                    self.problem(fields::nearest(node, &path), Some(object), path, value, message, help);
                }
            }
        }
    }

    /// Takes an EndpointSlice in, if it is a Service's.
    fn slice(&mut self, node: &Node<'_>) -> Result<Option<Object>, Refused> {
        let slice = EndpointSlice::from_api(&typed(Some(node), &FieldPath::root())?);
        self.parsed.slices.extend(slice.map(|value| {
            let location = Location::new(&self.file, node.at);
            let names_namespace = metadata(node, "namespace").is_some();
            Located { value, location, names_namespace, fields: Fields::default() }
        }));
        Ok(None)
    }

    /// Reports keys that are there twice, anywhere in an object.
    fn faults(&mut self, node: &Node<'_>, object: &ObjectRef, path: &FieldPath) {
        if !node.is_faulty {
            return;
        }
        match &node.data {
            Data::Scalar(..) => {}
            Data::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.faults(item, object, &path.index(index));
                }
            }
            Data::Map(map) => {
                for Fault { at, message, help } in &map.faults {
                    self.problem(
                        *at,
                        Some(object.clone()),
                        path.clone(),
                        None,
                        message.clone(),
                        help.clone(),
                    );
                }
                for entry in &map.entries {
                    self.faults(&entry.value, object, &path.field(entry.key.to_string()));
                }
            }
        }
    }

    fn problem(
        &mut self,
        at: Mark,
        object: Option<ObjectRef>,
        path: FieldPath,
        value: Option<String>,
        message: String,
        help: Option<String>,
    ) {
        let location = Location::new(&self.file, at);
        self.parsed.problems.push(Problem { location, object, path, value, message, help });
    }
}

/// Why a tree of the right kind is no object.
enum Refused {
    /// A field is of a type that the API does not have there.
    Type {
        path: FieldPath,
        message: String,
    },
    Admission(Rejection),
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        Self::Admission(rejection)
    }
}

fn convert(node: &Node<'_>, kind: &str) -> Result<Object, Refused> {
    let root = FieldPath::root();
    Ok(match kind {
        "Pod" => Object::Pod(admission::pod(&typed(Some(node), &root)?)?),
        "Namespace" => Object::Namespace(admission::namespace(&typed(Some(node), &root)?)?),
        "Node" => Object::Node(admission::node(&typed(Some(node), &root)?)?),
        "Service" => Object::Service(admission::service(&typed(Some(node), &root)?)?),
        "NetworkPolicy" => Object::Policy(admission::policy(&typed(Some(node), &root)?)?),
        "CronJob" => Object::Workload(workload(node, kind, &CRON_TEMPLATE)?),
        _ => Object::Workload(workload(node, kind, &TEMPLATE)?),
    })
}

fn workload(node: &Node<'_>, kind: &str, template: &[&'static str]) -> Result<Workload, Refused> {
    let metadata: ObjectMeta = typed(node.get("metadata"), &FieldPath::root().field("metadata"))?;
    let path = template.iter().fold(FieldPath::root(), |path, step| path.field(*step));
    let template = template.iter().try_fold(node, |node, step| node.get(step));
    let template: PodTemplateSpec = typed(template, &path)?;
    let pod = admission::pod_template(kind, &metadata, &path, &template)?;
    Ok(Workload { kind: kind.into(), pod, owner: admission::owner(&metadata) })
}

/// A part of an object in the type that the API has for it; its default where it is absent or null.
fn typed<T: DeserializeOwned + Default>(node: Option<&Node<'_>>, path: &FieldPath) -> Result<T, Refused> {
    let Some(node) = node.filter(|node| !node.is_null()) else { return Ok(T::default()) };
    typed::read(node).map_err(|error| {
        let path = path.steps().iter().cloned().chain(error.path).collect();
        Refused::Type { path, message: error.message }
    })
}

/// Whose the object is, as far as it says.
fn object_ref(node: &Node<'_>, kind: &str) -> ObjectRef {
    let namespace = match kind {
        "Namespace" | "Node" => None,
        _ => Some(metadata(node, "namespace").unwrap_or("default").to_owned()),
    };
    ObjectRef {
        kind: kind.to_owned(),
        namespace,
        name: metadata(node, "name").unwrap_or_default().to_owned(),
    }
}

/// Whether an object is being deleted: a namespace says so in its phase too.
fn is_terminating(node: &Node<'_>) -> bool {
    let phase = node.get("status").and_then(|status| status.get("phase")).and_then(|phase| phase.as_text());
    phase == Some("Terminating") || metadata(node, "deletionTimestamp").is_some()
}

/// A field of `metadata` that has a text.
fn metadata<'a>(node: &'a Node<'_>, field: &str) -> Option<&'a str> {
    let text =
        node.get("metadata").and_then(|metadata| metadata.get(field)).and_then(|value| value.as_text());
    text.filter(|text| !text.is_empty())
}

/// Whether an `apiVersion` is of a group outside Kubernetes: a domain that is not `k8s.io`.
fn is_foreign(api_version: &str) -> bool {
    let group = api_version.split_once('/').map(|(group, _)| group).unwrap_or_default();
    group.contains('.') && !group.ends_with(".k8s.io")
}
