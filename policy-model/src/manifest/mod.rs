//! Kubernetes manifests, as text, to objects: each with the place in the file where every field of it stands.
//!
//! YAML and JSON (which is YAML too), several documents a text, `List` kinds and lists of one kind. One broken document
//! or object never hides the others. A NetworkPolicy is read strictly: unknown fields and wrong types are refused
//! wherever they are in it, since a misspelt `podSelecter` would else select everything. Of other kinds unknown fields
//! are ignored. Scalars are read as Kubernetes reads them, which is YAML 1.1: a plain `on` is a boolean.
//!
//! What a text can cost is bounded: its size, its depth, and what its aliases may expand to ([`limits`]).

mod fields;
mod kinds;
mod location;
mod object;
mod parts;
mod problem;
mod scalar;
mod schema;
mod simple;
mod slice;
mod suggest;
#[cfg(test)]
mod tests;
mod tree;
mod typed;

pub use location::{Located, Location};
pub use object::{Object, Workload};
pub use parts::{Part, split};
pub use problem::{Problem, Skipped};
pub use slice::{EndpointSlice, SlicePort};
pub use suggest::nearest;
pub use tree::limits;

use std::sync::Arc;

/// What a text holds.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// The objects, in the order of the text.
    pub objects: Vec<Located<Object>>,
    /// EndpointSlices of Services. They are no [`Object`]s: no policy is about them.
    pub slices: Vec<Located<EndpointSlice>>,
    /// Namespaces that are being deleted: their policies hold until their last pod is gone.
    pub terminating: Vec<Arc<str>>,
    /// Documents and objects that are refused, and why: every problem of each.
    pub problems: Vec<Problem>,
    /// Objects of kinds that policy does not need.
    pub skipped: Vec<Skipped>,
}

impl Parsed {
    /// Takes in what a later part of the same text holds.
    pub fn append(&mut self, later: Self) {
        let Self { objects, slices, terminating, problems, skipped } = later;
        self.objects.extend(objects);
        self.slices.extend(slices);
        self.terminating.extend(terminating);
        self.problems.extend(problems);
        self.skipped.extend(skipped);
    }
}

/// Reads a text. `file_name` is what locations name; nothing is opened.
#[must_use]
pub fn parse(file_name: &str, text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    for part in split(text, usize::MAX) {
        parsed.append(parse_part(file_name, text, &part));
    }
    parsed
}

/// Reads one of the parts that [`split`] makes of a text; locations are those of the text.
#[must_use]
pub fn parse_part(file_name: &str, text: &str, part: &Part) -> Parsed {
    let mut reader = kinds::Reader { file: Arc::from(file_name), parsed: Parsed::default() };
    tree::documents(text, part, |document| match document {
        Ok(node) => reader.document(&node),
        Err(fault) => reader.refuse_document(fault),
    });
    reader.parsed
}
