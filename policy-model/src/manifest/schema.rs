//! Which fields a NetworkPolicy has and of which types, held against a tree; of other kinds, only their metadata.
//!
//! Source: `networking.k8s.io/v1` `NetworkPolicy`, `metav1.ObjectMeta`, `metav1.LabelSelector`.

use super::{
    location::Mark,
    scalar::Scalar,
    suggest,
    tree::{Data, Map, Node},
};
use crate::field::{FieldPath, Step};

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
pub(super) fn misfits(node: &Node<'_>, shape: &'static Shape) -> Vec<Misfit> {
    let mut checker = Checker { path: Vec::new(), outer: Vec::new(), misfits: Vec::new() };
    checker.check(node, shape);
    checker.misfits
}

struct Checker<'n> {
    /// Where it is, from the object down.
    path: Vec<At<'n>>,
    /// The fields of the structures around the current one, with the length of the path to each, from the object down.
    outer: Vec<(usize, &'static [(&'static str, Shape)])>,
    misfits: Vec<Misfit>,
}

/// A step that costs nothing until somebody wants to read it.
#[derive(Clone, Copy)]
enum At<'n> {
    Field(&'n str),
    Index(usize),
}

impl<'n> Checker<'n> {
    fn check(&mut self, node: &'n Node<'_>, shape: &'static Shape) {
        match (shape, &node.data) {
            (Any, _) => {}
            // An absent value, wherever the API has an optional field.
            (List(_) | TextMap | Fields(_) | Open(_), _) if node.is_null() => {}
            (List(inner), Data::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.at(At::Index(index), |checker| {
                        if item.is_null() {
                            let help = "write {} for an item without conditions, or leave it out";
                            checker.misfit(item, "the item is empty", Some(help.to_owned()));
                        } else {
                            checker.check(item, inner);
                        }
                    });
                }
            }
            (TextMap, Data::Map(map)) => {
                for entry in &map.entries {
                    self.at(At::Field(&entry.key), |checker| match &entry.value.data {
                        Data::Scalar(Scalar::Text, _) => {}
                        _ if entry.value.is_null() => {
                            let help = Some("write \"\" for an empty one".to_owned());
                            checker.misfit(&entry.value, "the value is missing", help);
                        }
                        _ => checker.wrong_type(&entry.value, "a text"),
                    });
                }
            }
            (Fields(fields), Data::Map(map)) => self.fields(map, fields),
            (Open(fields), Data::Map(map)) => {
                for (name, shape) in *fields {
                    if let Some(entry) = map.get(name).filter(|entry| !entry.value.is_null()) {
                        self.at(At::Field(name), |checker| checker.check(&entry.value, shape));
                    }
                }
            }
            (Text | IntOrText, Data::Scalar(Scalar::Text, _)) => {}
            (Int | IntOrText, Data::Scalar(Scalar::Number(number), _)) if number.is_i64() => {}
            (Text, _) => self.wrong_type(node, "a text"),
            (Int, _) => self.wrong_type(node, "a whole number"),
            (IntOrText, _) => self.wrong_type(node, "a whole number or a name"),
            (List(_), _) => self.wrong_type(node, "a list"),
            (TextMap | Fields(_) | Open(_), _) => self.wrong_type(node, "a map"),
        }
    }

    fn at(&mut self, step: At<'n>, check: impl FnOnce(&mut Self)) {
        self.path.push(step);
        check(self);
        self.path.pop();
    }

    /// The path to where it is, or to one of the structures around that.
    fn path(&self, length: usize) -> FieldPath {
        let steps = self.path[..length].iter().map(|step| match step {
            At::Field(name) => Step::Field((*name).to_owned().into()),
            At::Index(index) => Step::Index(*index),
        });
        steps.collect()
    }

    fn fields(&mut self, map: &'n Map<'_>, fields: &'static [(&'static str, Shape)]) {
        self.outer.push((self.path.len(), fields));
        for entry in &map.entries {
            match fields.iter().find(|(name, _)| *name == entry.key) {
                Some(_) if entry.value.is_null() => {}
                Some((name, shape)) => {
                    self.at(At::Field(name), |checker| checker.check(&entry.value, shape));
                }
                None => {
                    let help = Some(self.where_instead(&entry.key, fields));
                    let path = self.path(self.path.len()).field(entry.key.to_string());
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
        if let Some((length, _)) = outer.find(|(_, fields)| fields.iter().any(|(known, _)| *known == name)) {
            let holder = if *length == 0 { "the object".to_owned() } else { self.path(*length).to_string() };
            return format!("{name} is a field of {holder}: check the indentation");
        }
        let known: Vec<_> = fields.iter().map(|(known, _)| *known).collect();
        format!("the fields here are {}", known.join(", "))
    }

    fn wrong_type(&mut self, node: &Node<'_>, wanted: &str) {
        let (is, quotable) = match &node.data {
            Data::List(_) => ("it is a list".to_owned(), None),
            Data::Map(_) => ("it is a map".to_owned(), None),
            Data::Scalar(Scalar::Text, text) => (format!("\"{text}\" is a text"), None),
            Data::Scalar(value, raw) => {
                let kind = if matches!(value, Scalar::Bool(_)) { "a boolean" } else { "a number" };
                (format!("{raw} is {kind}"), Some(raw))
            }
        };
        let help = quotable.filter(|_| wanted == "a text").map(|raw| format!("put it in quotes: \"{raw}\""));
        self.misfit(node, format!("{is}, and {wanted} is needed"), help);
    }

    fn misfit(&mut self, node: &Node<'_>, message: impl Into<String>, help: Option<String>) {
        let value = match &node.data {
            Data::Scalar(_, text) => Some(text.to_string()),
            Data::List(_) | Data::Map(_) => None,
        };
        let path = self.path(self.path.len());
        self.misfits.push(Misfit { path, at: node.at, value, message: message.into(), help });
    }
}
