//! Which selectors match which pods, kept up to date at a cost that follows what changes.

mod candidates;
mod intern;
mod postings;
mod selectors;

pub(crate) use candidates::{Candidates, Tests};
pub(crate) use intern::{Interner, Symbol};
pub(crate) use postings::Postings;
pub(crate) use selectors::{PodRow, SelectorId, Selectors};
pub use selectors::{Scope, SelectorKey};

/// Labels as symbols, sorted by key symbol.
pub(crate) type Row = Box<[(Symbol, Symbol)]>;
