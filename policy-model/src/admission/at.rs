//! Where a check is within its object.

use crate::field::{FieldPath, Step};
use smallvec::SmallVec;

/// A [`FieldPath`] that costs nothing to extend: most are never reported, and every field of every object has one.
#[derive(Clone)]
pub(super) struct At<'a>(SmallVec<[Part<'a>; DEEPEST]>);

/// The most steps of a field that is checked: `spec.jobTemplate.spec.template.spec.containers[0].ports[0].name`. Deeper ones
/// would only cost more.
const DEEPEST: usize = 10;

/// A [`Step`] that borrows its name.
#[derive(Clone, Copy)]
enum Part<'a> {
    Field(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    /// The object itself.
    pub(super) fn root() -> Self {
        Self(SmallVec::new())
    }

    /// A field of what stands here.
    pub(super) fn field<'b>(&self, name: &'b str) -> At<'b>
    where
        'a: 'b,
    {
        At::of(&self.0, Part::Field(name))
    }

    /// An item of the list that stands here.
    pub(super) fn index(&self, index: usize) -> Self {
        Self::of(&self.0, Part::Index(index))
    }

    fn of(outer: &[Part<'a>], last: Part<'a>) -> Self {
        let mut parts = SmallVec::from_slice(outer);
        parts.push(last);
        Self(parts)
    }

    /// The same path to keep.
    pub(super) fn to_path(&self) -> FieldPath {
        let step = |part: &Part<'_>| match part {
            Part::Field(name) => Step::Field((*name).to_owned().into()),
            Part::Index(index) => Step::Index(*index),
        };
        self.0.iter().map(step).collect()
    }
}

impl<'a> From<&'a FieldPath> for At<'a> {
    fn from(path: &'a FieldPath) -> Self {
        let part = |step: &'a Step| match step {
            Step::Field(name) => Part::Field(name),
            Step::Index(index) => Part::Index(*index),
        };
        Self(path.steps().iter().map(part).collect())
    }
}
