//! The four answers.

use serde::Serialize;
use std::fmt;

/// The answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Answer {
    /// Everything that was asked about may pass.
    Allowed,
    /// Nothing of it may.
    Denied,
    /// It depends on something that nobody knows, such as the address of a pod that has none yet.
    Unknown,
    /// Some of it may.
    Mixed,
}

impl Answer {
    /// The answer for several questions together; `Denied` for none.
    pub fn of_all(answers: impl IntoIterator<Item = Self>) -> Self {
        let together = |a: Self, b: Self| match (a, b) {
            _ if a == b => a,
            (Self::Mixed, _) | (_, Self::Mixed) => Self::Mixed,
            (Self::Allowed, Self::Denied) | (Self::Denied, Self::Allowed) => Self::Mixed,
            _ => Self::Unknown,
        };
        answers.into_iter().reduce(together).unwrap_or(Self::Denied)
    }

    /// The answer for a connection that two sides are asked about.
    #[must_use]
    pub fn both(self, other: Self) -> Self {
        match (self, other) {
            (Self::Denied, _) | (_, Self::Denied) => Self::Denied,
            (Self::Allowed, b) => b,
            (a, Self::Allowed) => a,
            (Self::Mixed, _) | (_, Self::Mixed) => Self::Mixed,
            (Self::Unknown, Self::Unknown) => Self::Unknown,
        }
    }

    /// `Allowed`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Allowed => "Allowed",
            Self::Denied => "Denied",
            Self::Unknown => "Unknown",
            Self::Mixed => "Mixed",
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
