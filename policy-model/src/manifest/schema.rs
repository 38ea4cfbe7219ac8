//! Which fields a NetworkPolicy has and of which types, held against a tree; of other kinds, only their metadata.
//!
//! Source: `networking.k8s.io/v1` `NetworkPolicy`, `metav1.ObjectMeta`, `metav1.LabelSelector`.

use super::{
    location::Mark,
    suggest,
    tree::{Data, Map, Node},
};
use crate::field::FieldPath;
use serde_json::Value;

/// What a value must be.
pub(super) enum Shape {
    Text,
    Int,
    IntOrText,
    List(&'static Shape),
    /// Any keys, with text for values.
    TextMap,
    /// These fields and no others.
    Fields(&'static [(&'static str, Shape)]),
    /// These fields, and others that are not looked into.
    Open(&'static [(&'static str, Shape)]),
    /// Not looked into.
    Any,
}

use Shape::{Any, Fields, Int, IntOrText, List, Open, Text, TextMap};

/// A NetworkPolicy. `status` was a field for a while and comes with objects that are printed by a cluster.
pub(super) const NETWORK_POLICY: Shape =
    Fields(&[("apiVersion", Text), ("kind", Text), ("metadata", METADATA), ("spec", SPEC), ("status", Any)]);

/// What is looked into here of the other kinds; the types of the API see to the rest.
pub(super) const ANY_OBJECT: Shape =
    Open(&[("metadata", Open(&[("name", Text), ("namespace", Text), ("labels", TextMap)]))]);

const METADATA: Shape = Fields(&[
    ("name", Text),
    ("generateName", Text),
    ("namespace", Text),
    ("labels", TextMap),
    ("annotations", TextMap),
    ("creationTimestamp", Any),
    ("deletionGracePeriodSeconds", Any),
    ("deletionTimestamp", Any),
    ("finalizers", List(&Text)),
    ("generation", Any),
    ("managedFields", Any),
    ("ownerReferences", List(&Any)),
    ("resourceVersion", Text),
    ("selfLink", Text),
    ("uid", Text),
]);

const SPEC: Shape = Fields(&[
    ("podSelector", SELECTOR),
    ("policyTypes", List(&Text)),
    ("ingress", List(&Fields(&[("from", PEERS), ("ports", PORTS)]))),
    ("egress", List(&Fields(&[("to", PEERS), ("ports", PORTS)]))),
]);

const PEERS: Shape =
    List(&Fields(&[("podSelector", SELECTOR), ("namespaceSelector", SELECTOR), ("ipBlock", IP_BLOCK)]));

const IP_BLOCK: Shape = Fields(&[("cidr", Text), ("except", List(&Text))]);

const PORTS: Shape = List(&Fields(&[("port", IntOrText), ("endPort", Int), ("protocol", Text)]));

const SELECTOR: Shape = Fields(&[
    ("matchLabels", TextMap),
    ("matchExpressions", List(&Fields(&[("key", Text), ("operator", Text), ("values", List(&Text))]))),
]);

/// What is said about an unknown field.
pub(super) const NO_SUCH_FIELD: &str = "there is no such field";

/// A field that does not fit.
pub(super) struct Misfit {
    pub(super) path: FieldPath,
    pub(super) at: Mark,
    pub(super) value: Option<String>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// Everything in a tree that does not fit a shape.
pub(super) fn misfits(node: &Node, shape: &'static Shape) -> Vec<Misfit> {
    let mut checker = Checker { outer: Vec::new(), misfits: Vec::new() };
    checker.check(node, shape, &FieldPath::root());
    checker.misfits
}

struct Checker {
    /// The fields of the structures around the current one, with their paths, from the object down.
    outer: Vec<(FieldPath, &'static [(&'static str, Shape)])>,
    misfits: Vec<Misfit>,
}

impl Checker {
    fn check(&mut self, node: &Node, shape: &'static Shape, path: &FieldPath) {
        let fits = |is: fn(&Value) -> bool| matches!(&node.data, Data::Scalar { value, .. } if is(value));
        match (shape, &node.data) {
            (Any, _) => {}
            // An absent value, wherever the API has an optional field.
            (List(_) | TextMap | Fields(_) | Open(_), _) if node.is_null() => {}
            (List(inner), Data::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let path = path.index(index);
                    if item.is_null() {
                        let help = "write {} for an item without conditions, or leave it out";
                        self.misfit(&path, item, "the item is empty", Some(help.to_owned()));
                    } else {
                        self.check(item, inner, &path);
                    }
                }
            }
            (TextMap, Data::Map(map)) => {
                for entry in &map.entries {
                    let path = path.field(entry.key.clone());
                    match &entry.value.data {
                        Data::Scalar { value: Value::String(_), .. } => {}
                        _ if entry.value.is_null() => {
                            let help = Some("write \"\" for an empty one".to_owned());
                            self.misfit(&path, &entry.value, "the value is missing", help);
                        }
                        _ => self.wrong_type(&path, &entry.value, "a text"),
                    }
                }
            }
            (Fields(fields), Data::Map(map)) => self.fields(map, fields, path),
            (Open(fields), Data::Map(map)) => {
                for (name, shape) in *fields {
                    if let Some(entry) = map.get(name).filter(|entry| !entry.value.is_null()) {
                        self.check(&entry.value, shape, &path.field(*name));
                    }
                }
            }
            (Text, _) if fits(Value::is_string) => {}
            (Int, _) if fits(Value::is_i64) => {}
            (IntOrText, _) if fits(Value::is_i64) || fits(Value::is_string) => {}
            (Text, _) => self.wrong_type(path, node, "a text"),
            (Int, _) => self.wrong_type(path, node, "a whole number"),
            (IntOrText, _) => self.wrong_type(path, node, "a whole number or a name"),
            (List(_), _) => self.wrong_type(path, node, "a list"),
            (TextMap | Fields(_) | Open(_), _) => self.wrong_type(path, node, "a map"),
        }
    }

    fn fields(&mut self, map: &Map, fields: &'static [(&'static str, Shape)], path: &FieldPath) {
        self.outer.push((path.clone(), fields));
        for entry in &map.entries {
            match fields.iter().find(|(name, _)| *name == entry.key) {
                Some(_) if entry.value.is_null() => {}
                Some((name, shape)) => self.check(&entry.value, shape, &path.field(*name)),
                None => {
                    let help = Some(self.where_instead(&entry.key, fields));
                    let path = path.field(entry.key.clone());
                    let message = NO_SUCH_FIELD.to_owned();
                    self.misfits.push(Misfit { path, at: entry.at, value: None, message, help });
                }
            }
        }
        self.outer.pop();
    }

    /// What may have been meant by an unknown field: one with a similar name, or one of a structure further out.
    fn where_instead(&self, name: &str, fields: &[(&'static str, Shape)]) -> String {
        if let Some(meant) = suggest::nearest(name, fields.iter().map(|(known, _)| *known)) {
            return format!("did you mean {meant}?");
        }
        let mut outer = self.outer.iter().rev();
        if let Some((path, _)) = outer.find(|(_, fields)| fields.iter().any(|(known, _)| *known == name)) {
            let holder = if path.steps().is_empty() { "the object".to_owned() } else { path.to_string() };
            return format!("{name} is a field of {holder}: check the indentation");
        }
        let known: Vec<_> = fields.iter().map(|(known, _)| *known).collect();
        format!("the fields here are {}", known.join(", "))
    }

    fn wrong_type(&mut self, path: &FieldPath, node: &Node, wanted: &str) {
        let (is, quotable) = match &node.data {
            Data::List(_) => ("it is a list".to_owned(), None),
            Data::Map(_) => ("it is a map".to_owned(), None),
            Data::Scalar { value: Value::String(text), .. } => (format!("\"{text}\" is a text"), None),
            Data::Scalar { raw, value } => {
                let raw = raw.as_deref().unwrap_or_default();
                let kind = if value.is_boolean() { "a boolean" } else { "a number" };
                (format!("{raw} is {kind}"), Some(raw))
            }
        };
        let help = quotable.filter(|_| wanted == "a text").map(|raw| format!("put it in quotes: \"{raw}\""));
        self.misfit(path, node, format!("{is}, and {wanted} is needed"), help);
    }

    fn misfit(&mut self, path: &FieldPath, node: &Node, message: impl Into<String>, help: Option<String>) {
        let value = match &node.data {
            Data::Scalar { value: Value::String(text), .. } => Some(text.clone()),
            Data::Scalar { raw, .. } => raw.as_deref().map(str::to_owned),
            Data::List(_) | Data::Map(_) => None,
        };
        self.misfits.push(Misfit { path: path.clone(), at: node.at, value, message: message.into(), help });
    }
}
