//! Places in a file.

use super::fields::Fields;
use crate::field::FieldPath;
use std::{fmt, ops::Range, sync::Arc};

/// A place in a text, without the file's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// From 1.
    pub(super) line: usize,
    /// From 1, in characters.
    pub(super) column: usize,
    /// First byte.
    pub(super) start: usize,
    /// Byte after the last one.
    pub(super) end: usize,
}

/// A place in a file. Displays as `policies/db.yaml:21:18`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// The file's name, as [`parse`](super::parse) was given it.
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The bytes of the text that are meant; empty where it is only a point.
    pub span: Range<usize>,
}

impl Location {
    pub(super) fn new(file: &Arc<str>, mark: Mark) -> Self {
        Self { file: file.clone(), line: mark.line, column: mark.column, span: mark.start..mark.end }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Something that was read from a file, with the place of it and of its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// What was read.
    pub value: T,
    /// Where it begins.
    pub location: Location,
    /// Whether the text says `metadata.namespace`. Without it a namespaced object is in `default`, unless whoever reads
    /// the text knows better.
    pub names_namespace: bool,
    pub(super) fields: Fields,
}

impl<T> Located<T> {
    /// What was read, and its place without it.
    #[must_use]
    pub fn split(self) -> (T, Located<()>) {
        let Self { value, location, names_namespace, fields } = self;
        (value, Located { value: (), location, names_namespace, fields })
    }

    /// Whether the text has this field. Kinds other than NetworkPolicy know no fields.
    #[must_use]
    pub fn has_field(&self, path: &FieldPath) -> bool {
        self.fields.has(path)
    }

    /// Where a field stands: its value if that is a scalar, else its key or the beginning of the list item.
    ///
    /// A field that is not in the text is where the innermost structure that would hold it is. Kinds other than
    /// NetworkPolicy know only where they begin.
    #[must_use]
    pub fn field(&self, path: &FieldPath) -> Location {
        let mark = self.fields.nearest(path);
        mark.map_or_else(|| self.location.clone(), |mark| Location::new(&self.location.file, mark))
    }
}
