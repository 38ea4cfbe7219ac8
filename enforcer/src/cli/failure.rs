//! How a command ends when it does not end well.

use miette::Report;
use std::process::ExitCode;

/// Why a command failed, and with it the exit status.
#[derive(Debug)]
pub enum Failure {
    /// 1: it was understood and did not work. The report says what and what to do.
    Failed(Report),
    /// 1: everything has been said already.
    Said,
    /// 2: what was asked for makes no sense.
    Usage(Report),
}

impl Failure {
    /// A failure with what to do about it.
    pub(super) fn failed(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Failed(report(what, help))
    }

    /// A wrong usage with what to do about it.
    pub(super) fn usage(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage(report(what, help))
    }

    /// Says it, and gives the exit status.
    pub(super) fn report(&self) -> ExitCode {
        match self {
            Self::Failed(report) | Self::Usage(report) => eprintln!("{report:?}"),
            Self::Said => {}
        }
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) | Self::Said => ExitCode::FAILURE,
        }
    }
}

fn report(what: impl Into<String>, help: impl Into<String>) -> Report {
    let (what, help) = (what.into(), help.into());
    if help.is_empty() { miette::miette!("{what}") } else { miette::miette!(help = help, "{what}") }
}
