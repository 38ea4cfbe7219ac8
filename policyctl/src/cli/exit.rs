//! Exit codes: section 6 of the design.

use crate::explain::Answer;
use std::process::ExitCode;

/// How a verb ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: allowed, or nothing to object to.
    Allowed,
    /// 1: denied; for `diff`, something was gained.
    Denied,
    /// 2: wrong usage, or bad input. Comes before every answer.
    Usage,
    /// 3: unknown, or mixed.
    Unsure,
    /// 4: a cluster or node could not be reached, or the kernel disagrees.
    Unreachable,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Allowed => 0,
            Self::Denied => 1,
            Self::Usage => 2,
            Self::Unsure => 3,
            Self::Unreachable => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<Answer> for Exit {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Allowed => Self::Allowed,
            Answer::Denied => Self::Denied,
            Answer::Unknown | Answer::Mixed => Self::Unsure,
        }
    }
}
