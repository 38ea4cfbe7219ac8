//! Runs a child process, shows what it prints as it prints it, and counts its tests.

use crate::closing_lines::{self, Count};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

/// How a child ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// It ended with status 0.
    pub(crate) success: bool,
    /// The tests that its closing lines speak of.
    pub(crate) tests: Count,
}

/// A child could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("cannot start `{program}`: {source}")]
    Start { program: String, source: std::io::Error },
    #[error("lost the output of `{program}`: {source}")]
    Output { program: String, source: std::io::Error },
    #[error(transparent)]
    Workspace(#[from] crate::workspace::WorkspaceError),
}

/// Runs `command` to its end. Its standard output passes line by line, each given to `listen` too, with its line end; its standard
/// error passes directly.
pub(crate) fn run(command: &mut Command, mut listen: impl FnMut(&[u8])) -> Result<Outcome, RunError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let lost = |source| RunError::Output { program: program.clone(), source };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|source| RunError::Start { program: program.clone(), source })?;
    let mut tests = Count::default();
    if let Some(output) = child.stdout.take() {
        let mut output = BufReader::new(output);
        let mut screen = std::io::stdout();
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).map_err(lost)? > 0 {
            screen.write_all(&line).map_err(lost)?;
            listen(&line);
            if let Some(count) = std::str::from_utf8(&line).ok().and_then(closing_lines::read) {
                tests += count;
            }
            line.clear();
        }
    }
    let status = child.wait().map_err(lost)?;
    Ok(Outcome { success: status.success(), tests })
}
