//! Paths of fields within an object, as errors and explanations name them.

use std::{borrow::Cow, fmt};

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A field of an object, or a key of a map.
    Field(Cow<'static, str>),
    /// An item of a list, from 0.
    Index(usize),
}

/// Where a value is within an object: `spec.ingress[0].ports[1].endPort`. The empty path is the object itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<Step>);

impl FieldPath {
    /// The object itself.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// A field of what this path names.
    #[must_use]
    pub fn field(&self, name: impl Into<Cow<'static, str>>) -> Self {
        self.with(Step::Field(name.into()))
    }

    /// An item of the list that this path names.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    /// What this path's value is part of; `None` for the object itself.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, steps) = self.0.split_last()?;
        Some(Self(steps.to_vec()))
    }

    /// The steps from the object down.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    fn with(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

impl FromIterator<Step> for FieldPath {
    fn from_iter<T: IntoIterator<Item = Step>>(steps: T) -> Self {
        Self(steps.into_iter().collect())
    }
}

/// Keys that are no plain word, such as `app.kubernetes.io/name`, stand in brackets.
impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Field(name) if !is_word(name) => write!(f, "[{name}]")?,
                Step::Field(name) => write!(f, "{}{name}", if i == 0 { "" } else { "." })?,
            }
        }
        Ok(())
    }
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_the_api_writes_them() {
        let port = FieldPath::root().field("spec").field("ingress").index(0).field("ports").index(1);
        assert_eq!(port.field("endPort").to_string(), "spec.ingress[0].ports[1].endPort");
        let label = FieldPath::root().field("metadata").field("labels").field("app.kubernetes.io/name");
        assert_eq!(label.to_string(), "metadata.labels[app.kubernetes.io/name]");
        assert_eq!(label.parent().unwrap().to_string(), "metadata.labels");
        assert_eq!(FieldPath::root().parent(), None);
    }
}
