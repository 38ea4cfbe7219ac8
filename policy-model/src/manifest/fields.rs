//! From the path of a field to its place in the text.

use super::{
    location::Mark,
    tree::{Data, Entry, Node},
};
use crate::field::{FieldPath, Step};

/// Where the fields of an object stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(Below);

/// What is within a value, each with its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Below {
    #[default]
    Nothing,
    List(Box<[(Mark, Below)]>),
    Map(Box<[(Box<str>, Mark, Below)]>),
}

impl Fields {
    /// Every field of an object.
    pub(super) fn of(object: &Node<'_>) -> Self {
        Self(Below::of(object))
    }

    /// Whether the object has a field.
    pub(super) fn has(&self, path: &FieldPath) -> bool {
        self.walk(path).1 == path.steps().len()
    }

    /// The place of a field, or of the innermost structure that would hold it; `None` where that is the object.
    pub(super) fn nearest(&self, path: &FieldPath) -> Option<Mark> {
        self.walk(path).0
    }

    /// How far a path leads: the place there, and the number of steps.
    fn walk(&self, path: &FieldPath) -> (Option<Mark>, usize) {
        let (mut below, mut mark) = (&self.0, None);
        for (taken, step) in path.steps().iter().enumerate() {
            let next = match (step, below) {
                (Step::Field(name), Below::Map(fields)) => {
                    fields.iter().find(|(key, ..)| **key == **name).map(|(_, at, below)| (at, below))
                }
                (Step::Index(index), Below::List(items)) => items.get(*index).map(|(at, below)| (at, below)),
                _ => None,
            };
            let Some((at, within)) = next else { return (mark, taken) };
            (below, mark) = (within, Some(*at));
        }
        (mark, path.steps().len())
    }
}

impl Below {
    fn of(node: &Node<'_>) -> Self {
        match &node.data {
            Data::Scalar(..) => Self::Nothing,
            Data::List(items) => Self::List(items.iter().map(|item| (item.at, Self::of(item))).collect()),
            Data::Map(map) => {
                let field =
                    |entry: &Entry<'_>| (entry.key.as_ref().into(), place(entry), Self::of(&entry.value));
                Self::Map(map.entries.iter().map(field).collect())
            }
        }
    }
}

/// The place of a field of an object, or of the innermost structure that would hold it.
pub(super) fn nearest(object: &Node<'_>, path: &FieldPath) -> Mark {
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
fn place(entry: &Entry<'_>) -> Mark {
    match entry.value.data {
        Data::Scalar(..) if !entry.value.is_null() => entry.value.at,
        _ => entry.at,
    }
}
