//! From the path of a field to its place in the text.

use super::{
    location::Mark,
    tree::{Data, Entry, Node},
};
use crate::field::{FieldPath, Step};

/// Where the fields of an object stand: every field and list item, each followed by what is within it. Two allocations an
/// object, since a large folder has many thousands of fields and few are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// The names of fields, one behind the other.
    names: Box<str>,
    all: Box<[Field]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    /// First byte and length of its name; `None` for an item of a list.
    name: Option<(u32, u32)>,
    /// A text has no more than 64 MiB, so these fit.
    line: u32,
    column: u32,
    start: u32,
    end: u32,
    /// The number of the next field that is not within it.
    next: u32,
}

impl Fields {
    /// Every field of an object.
    pub(super) fn of(object: &Node<'_>) -> Self {
        let mut collected = Collected::default();
        collected.within(object);
        Self { names: collected.names.into(), all: collected.all.into() }
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
        let (mut at, mut end, mut mark) = (0, self.all.len(), None);
        for (taken, step) in path.steps().iter().enumerate() {
            let within = |at: usize| Some(at).filter(|at| *at < end);
            let mut siblings = std::iter::successors(within(at), |at| within(self.all[*at].next as usize));
            let found = match step {
                Step::Field(name) => siblings.find(|at| self.name(&self.all[*at]) == Some(&**name)),
                Step::Index(index) => siblings.nth(*index).filter(|at| self.all[*at].name.is_none()),
            };
            let Some(found) = found else { return (mark, taken) };
            let field = &self.all[found];
            (at, end, mark) = (found + 1, field.next as usize, Some(field.mark()));
        }
        (mark, path.steps().len())
    }

    fn name(&self, field: &Field) -> Option<&str> {
        let (start, length) = field.name?;
        self.names.get(start as usize..(start + length) as usize)
    }
}

impl Field {
    fn mark(&self) -> Mark {
        let [line, column, start, end] = [self.line, self.column, self.start, self.end].map(|n| n as usize);
        Mark { line, column, start, end }
    }
}

/// The fields of an object while they are collected.
#[derive(Default)]
struct Collected {
    names: String,
    all: Vec<Field>,
}

impl Collected {
    fn within(&mut self, node: &Node<'_>) {
        match &node.data {
            Data::Scalar(..) => {}
            Data::List(items) => items.iter().for_each(|item| self.add(None, item.at, item)),
            Data::Map(map) => {
                for entry in &map.entries {
                    self.add(Some(&entry.key), place(entry), &entry.value);
                }
            }
        }
    }

    fn add(&mut self, name: Option<&str>, mark: Mark, value: &Node<'_>) {
        let name = name.map(|name| {
            self.names.push_str(name);
            ((self.names.len() - name.len()) as u32, name.len() as u32)
        });
        let [line, column, start, end] = [mark.line, mark.column, mark.start, mark.end].map(|n| n as u32);
        let own = self.all.len();
        self.all.push(Field { name, line, column, start, end, next: 0 });
        self.within(value);
        self.all[own].next = self.all.len() as u32;
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
