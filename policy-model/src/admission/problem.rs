//! What is wrong with an object, for the person who wrote it.

use crate::field::FieldPath;
use std::fmt;

/// An object by kind and name. Displays as `NetworkPolicy prod/db` or `Node w1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// Such as `NetworkPolicy`.
    pub kind: String,
    /// `metadata.namespace`; `None` for kinds that are not namespaced.
    pub namespace: Option<String>,
    /// `metadata.name`; empty if the object has none.
    pub name: String,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, name } = self;
        let name = if name.is_empty() { "(without a name)" } else { name };
        match namespace {
            Some(namespace) => write!(f, "{kind} {namespace}/{name}"),
            None => write!(f, "{kind} {name}"),
        }
    }
}

/// One field that an API server would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {path}: {message}")]
pub struct Problem {
    /// The object that is refused.
    pub object: ObjectRef,
    /// The field at fault.
    pub path: FieldPath,
    /// Its value as the object has it; `None` where the value is absent or is a whole structure.
    pub value: Option<String>,
    /// What is wrong, with the value.
    pub message: String,
    /// What to do about it, where that is not plain from the message.
    pub help: Option<String>,
}

/// An object that is refused, with everything that is wrong with it. Displays as a line a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Never empty; in the order of the object's fields.
    pub problems: Vec<Problem>,
}

impl std::error::Error for Rejection {}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}
