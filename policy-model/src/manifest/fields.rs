//! From the path of a field to its place in the text.

use super::{
    location::Mark,
    tree::{Data, Entry, Node},
};
use crate::field::{FieldPath, Step};
use std::collections::BTreeMap;

/// Where the fields of an object stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(BTreeMap<FieldPath, Mark>);

impl Fields {
    /// Every field of an object.
    pub(super) fn of(object: &Node) -> Self {
        let mut fields = BTreeMap::new();
        collect(object, &FieldPath::root(), &mut fields);
        Self(fields)
    }

    /// Whether the object has a field.
    pub(super) fn has(&self, path: &FieldPath) -> bool {
        self.0.contains_key(path)
    }

    /// The place of a field, or of the innermost structure that would hold it.
    pub(super) fn nearest(&self, path: &FieldPath) -> Option<Mark> {
        let mut path = path.clone();
        loop {
            if let Some(mark) = self.0.get(&path) {
                return Some(*mark);
            }
            path = path.parent()?;
        }
    }
}

fn collect(node: &Node, path: &FieldPath, into: &mut BTreeMap<FieldPath, Mark>) {
    match &node.data {
        Data::Scalar { .. } => {}
        Data::List(items) => {
            for (index, item) in items.iter().enumerate() {
                let path = path.index(index);
                collect(item, &path, into);
                into.insert(path, item.at);
            }
        }
        Data::Map(map) => {
            for entry in &map.entries {
                let path = path.field(entry.key.clone());
                collect(&entry.value, &path, into);
                into.insert(path, place(entry));
            }
        }
    }
}

/// The place of a field of an object, or of the innermost structure that would hold it.
pub(super) fn nearest(object: &Node, path: &FieldPath) -> Mark {
    let (mut node, mut mark) = (object, object.at);
    for step in path.steps() {
        match step {
            Step::Field(name) => {
                let Some(entry) = node.as_map().and_then(|map| map.get(name)) else { return mark };
                (node, mark) = (&entry.value, place(entry));
            }
            Step::Index(index) => {
                let Some(item) = node.as_list().and_then(|items| items.get(*index)) else { return mark };
                (node, mark) = (item, item.at);
            }
        }
    }
    mark
}

/// A scalar is found where it stands, all else by its key.
fn place(entry: &Entry) -> Mark {
    match entry.value.data {
        Data::Scalar { .. } if !entry.value.is_null() => entry.value.at,
        _ => entry.at,
    }
}
