//! Collects the problems of one object, and checks the metadata that all objects have.

use super::{
    at::At,
    names,
    problem::{ObjectRef, Problem, Rejection},
};
use crate::{labels::Labels, object::ObjectKey};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

/// The namespace of a namespaced object that names none.
const DEFAULT_NAMESPACE: &str = "default";

/// The object that is being checked, and what has been found wrong with it.
pub(super) struct Check {
    object: ObjectRef,
    problems: Vec<Problem>,
}

impl Check {
    /// Begins with a namespaced object's own name, namespace and labels.
    pub(super) fn namespaced(kind: &str, metadata: &ObjectMeta) -> (Self, ObjectKey, Labels) {
        let namespace = metadata.namespace.as_deref().filter(|namespace| !namespace.is_empty());
        let namespace = namespace.unwrap_or(DEFAULT_NAMESPACE);
        let mut check = Self::begin(kind, Some(namespace), metadata);
        let path = At::root().field("metadata").field("namespace");
        check.syntax(&path, namespace, "a namespace's name", names::dns_label);
        let key = ObjectKey::new(namespace, check.object.name.as_str());
        let labels = check.labels(metadata);
        (check, key, labels)
    }

    /// Begins with the name and labels of an object that has no namespace.
    pub(super) fn cluster_wide(kind: &str, metadata: &ObjectMeta) -> (Self, String, Labels) {
        let mut check = Self::begin(kind, None, metadata);
        let name = check.object.name.clone();
        let labels = check.labels(metadata);
        (check, name, labels)
    }

    fn begin(kind: &str, namespace: Option<&str>, metadata: &ObjectMeta) -> Self {
        let name = metadata.name.clone().unwrap_or_default();
        let object =
            ObjectRef { kind: kind.to_owned(), namespace: namespace.map(str::to_owned), name: name.clone() };
        let mut check = Self { object, problems: Vec::new() };
        let path = At::root().field("metadata").field("name");
        match (name.is_empty(), &metadata.generate_name) {
            (true, Some(_)) => check
                .problem(&path, None, "an object with generateName alone has no name yet")
                .help("give it a name: there is no API server here to make one up"),
            (true, None) => check.problem(&path, None, "the object has no name"),
            (false, _) => return check.with_name(&path, &name),
        };
        check
    }

    fn with_name(mut self, path: &At<'_>, name: &str) -> Self {
        self.syntax(path, name, "a name", names::dns_subdomain);
        self
    }

    fn labels(&mut self, metadata: &ObjectMeta) -> Labels {
        let path = At::root().field("metadata").field("labels");
        metadata.labels.as_ref().map(|labels| self.label_map(&path, labels)).unwrap_or_default()
    }

    /// A label's key, in metadata or a selector.
    pub(super) fn label_key(&mut self, path: &At<'_>, key: &str) {
        self.syntax(path, key, "a label key", names::qualified_name);
    }

    /// A label's value, in metadata or a selector.
    pub(super) fn label_value(&mut self, path: &At<'_>, value: &str) {
        self.syntax(path, value, "a label value", names::label_value);
    }

    /// Labels, or a map of the same shape such as a Service's selector.
    pub(super) fn label_map(&mut self, path: &At<'_>, labels: &BTreeMap<String, String>) -> Labels {
        for (key, value) in labels {
            let entry = path.field(key);
            self.label_key(&entry, key);
            self.label_value(&entry, value);
        }
        labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    /// Reports a value that breaks a rule of syntax.
    pub(super) fn syntax(
        &mut self,
        path: &At<'_>,
        value: &str,
        what: &str,
        rule: fn(&str) -> Result<(), &'static str>,
    ) {
        if let Err(broken) = rule(value) {
            self.problem(path, Some(value.to_owned()), format!("\"{value}\" is not {what}: {broken}"));
        }
    }

    /// Adds a problem; the caller may add help to it.
    pub(super) fn problem(
        &mut self,
        path: &At<'_>,
        value: Option<String>,
        message: impl Into<String>,
    ) -> Helpable<'_> {
        let (object, path, message) = (self.object.clone(), path.to_path(), message.into());
        self.problems.push(Problem { object, path, value, message, help: None });
        Helpable(&mut self.problems)
    }

    /// What was made of the object, if nothing is wrong with it.
    pub(super) fn finish<T>(self, made: T) -> Result<T, Rejection> {
        if self.problems.is_empty() { Ok(made) } else { Err(Rejection { problems: self.problems }) }
    }
}

/// The problem that was added last.
pub(super) struct Helpable<'a>(&'a mut Vec<Problem>);

impl Helpable<'_> {
    /// Says what to do about it.
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        if let Some(problem) = self.0.last_mut() {
            problem.help = Some(help.into());
        }
        self
    }
}
