//! Label selectors in one normal form, so that two that say the same are equal.
//!
//! Source: `metav1.LabelSelector` and `labels.Requirement` of apimachinery.

#[cfg(test)]
mod tests;

use crate::labels::Labels;
use std::{fmt, sync::Arc};

/// One condition on one label key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Requirement {
    /// The label is there and its value is one of these: sorted, unique, not empty. `matchLabels` is this with one value.
    In(Arc<str>, Box<[Arc<str>]>),
    /// The label is absent, or its value is none of these: sorted, unique, not empty.
    NotIn(Arc<str>, Box<[Arc<str>]>),
    /// The label is there.
    Exists(Arc<str>),
    /// The label is absent.
    DoesNotExist(Arc<str>),
}

impl Requirement {
    /// The label key it is about.
    #[must_use]
    pub fn key(&self) -> &Arc<str> {
        match self {
            Self::In(k, _) | Self::NotIn(k, _) | Self::Exists(k) | Self::DoesNotExist(k) => k,
        }
    }

    /// Whether an object with these labels meets it.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(self.key());
        match self {
            Self::In(_, values) => value.is_some_and(|v| values.binary_search(v).is_ok()),
            Self::NotIn(_, values) => value.is_none_or(|v| values.binary_search(v).is_err()),
            Self::Exists(_) => value.is_some(),
            Self::DoesNotExist(_) => value.is_none(),
        }
    }
}

/// A conjunction of requirements: sorted and unique. No requirement at all matches every object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector(Box<[Requirement]>);

impl Selector {
    /// Matches every object.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Brings requirements into normal form: values and requirements sorted, repeats dropped.
    #[must_use]
    pub fn new(requirements: impl IntoIterator<Item = Requirement>) -> Self {
        fn sorted(values: Box<[Arc<str>]>) -> Box<[Arc<str>]> {
            let mut values = values.into_vec();
            values.sort();
            values.dedup();
            values.into()
        }
        let mut all: Vec<_> = requirements
            .into_iter()
            .map(|r| match r {
                Requirement::In(k, v) => Requirement::In(k, sorted(v)),
                Requirement::NotIn(k, v) => Requirement::NotIn(k, sorted(v)),
                other => other,
            })
            .collect();
        all.sort();
        all.dedup();
        Self(all.into())
    }

    /// The requirements, in normal order.
    #[must_use]
    pub fn requirements(&self) -> &[Requirement] {
        &self.0
    }

    /// Whether it matches every object.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object with these labels is selected.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|r| r.matches(labels))
    }
}

/// In the syntax of `kubectl -l`: `app=web,tier in (a,b),!legacy`.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            match requirement {
                Requirement::In(k, v) if v.len() == 1 => write!(f, "{comma}{k}={}", v[0])?,
                Requirement::NotIn(k, v) if v.len() == 1 => write!(f, "{comma}{k}!={}", v[0])?,
                Requirement::In(k, v) => write!(f, "{comma}{k} in ({})", v.join(","))?,
                Requirement::NotIn(k, v) => write!(f, "{comma}{k} notin ({})", v.join(","))?,
                Requirement::Exists(k) => write!(f, "{comma}{k}")?,
                Requirement::DoesNotExist(k) => write!(f, "{comma}!{k}")?,
            }
        }
        Ok(())
    }
}
