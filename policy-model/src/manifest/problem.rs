//! What is wrong with a text, for the person who wrote it.

use super::location::Location;
use crate::{admission::ObjectRef, field::FieldPath};
use std::fmt;

/// One fault of a text, with its place. Displays as `file:line:column: object: field: what is wrong`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub location: Location,
    /// The object that is refused; `None` if a whole document is.
    pub object: Option<ObjectRef>,
    /// The field at fault; empty if it is the whole object or document.
    pub path: FieldPath,
    /// Its value as the text has it; `None` where it is absent or a whole structure.
    pub value: Option<String>,
    /// What is wrong, with the value.
    pub message: String,
    /// What to do about it, where that is not plain from the message.
    pub help: Option<String>,
}

impl std::error::Error for Problem {}

impl Problem {
    /// Whether the object has a field that its kind does not have.
    #[must_use]
    pub fn is_unknown_field(&self) -> bool {
        self.message == super::schema::NO_SUCH_FIELD
    }

    /// The problem without its place: `NetworkPolicy prod/db: spec.podSelecter: there is no such field`.
    #[must_use]
    pub fn headline(&self) -> String {
        let object = self.object.as_ref().map(|object| format!("{object}: ")).unwrap_or_default();
        let path = if self.path.steps().is_empty() { String::new() } else { format!("{}: ", self.path) };
        format!("{object}{path}{}", self.message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.headline())
    }
}

/// An object of a kind that policy does not need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// Where it begins.
    pub location: Location,
}
