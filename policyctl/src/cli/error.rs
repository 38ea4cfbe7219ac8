//! What ends a verb without an answer.

use super::{Exit, names::NameError};
use crate::{
    explain::EndsError, generate::from_matrix::FromMatrixError, input::InputError, live::LiveError,
    style::Style, test_run::FilesError,
};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use std::{
    fmt,
    io::{self, Write},
};

/// What ends a verb without an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// A cluster or node that does not answer.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// A path that cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// An end that cannot be read.
    #[error(transparent)]
    Name(#[from] NameError),
    /// An end that stands for nothing.
    #[error("{error}")]
    Ends {
        /// What is wrong.
        error: EndsError,
        /// What may have been meant.
        meant: Option<String>,
    },
    /// A policy that `--without` names and that is not there.
    #[error("there is no policy {policy}")]
    NoPolicy {
        /// As it was written.
        policy: String,
        /// What may have been meant.
        meant: Option<String>,
    },
    /// A path without tests.
    #[error(transparent)]
    TestFiles(#[from] FilesError),
    /// A list of wanted connections that cannot be read.
    #[error("{file}: {message}")]
    List {
        /// The file's name.
        file: String,
        /// What is wrong.
        message: String,
    },
    /// A list that there are no policies for.
    #[error(transparent)]
    FromMatrix(#[from] FromMatrixError),
    /// A flag's value that cannot be read.
    #[error("{flag}: {message}")]
    Flag {
        /// Which flag.
        flag: &'static str,
        /// What is wrong.
        message: String,
    },
    /// Flags that do not go together.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: &'static str,
        /// What to do.
        help: &'static str,
    },
    /// Standard output or error is gone.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Live(error) if !error.is_usage() => Exit::Unreachable,
            _ => Exit::Usage,
        }
    }
}

impl Diagnostic for CliError {
    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        let help = match self {
            Self::Live(error) => error.help()?,
            Self::FromMatrix(FromMatrixError::Alike { .. }) => {
                "give one of them a label of its own, or want the same of both".to_owned()
            }
            Self::Ends { meant: Some(meant), .. }
            | Self::NoPolicy { meant: Some(meant), .. }
            | Self::FromMatrix(FromMatrixError::NoWorkload { meant: Some(meant), .. }) => {
                format!("did you mean {meant}?")
            }
            Self::Usage { help, .. } => (*help).to_owned(),
            _ => return None,
        };
        Some(Box::new(help))
    }
}

/// Writes a report.
pub(super) fn report(diagnostic: &dyn Diagnostic, style: Style, err: &mut dyn Write) -> io::Result<()> {
    let theme =
        if style.has_colour() { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(style.width).with_links(false);
    let mut text = String::new();
    if handler.render_report(&mut text, diagnostic).is_err() {
        text = format!("{diagnostic}\n");
    }
    err.write_all(text.as_bytes())
}
