//! Running the system's programs, with errors that name the line they stumbled over.

use super::LabError;
use std::{
    io::Write,
    process::{Child, Command, Stdio},
    thread,
};

/// Runs a command with `input` on its standard input; gives its standard output.
///
/// # Errors
/// [`LabError::Command`] when it cannot be started or does not exit with 0.
pub(crate) fn run(mut command: Command, input: &str) -> Result<String, LabError> {
    let shown = shown(&command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|e| LabError::Command {
        command: shown.clone(),
        message: format!("cannot start it: {e}"),
    })?;
    finish(child, &shown, input)
}

/// Feeds a child whose three standard streams are pipes, waits for its end, and gives its standard output.
///
/// # Errors
/// [`LabError::Command`] when it does not exit with 0.
pub(crate) fn finish(mut child: Child, shown: &str, input: &str) -> Result<String, LabError> {
    let failed = |message: String| LabError::Command { command: shown.to_owned(), message };
    let stdin = child.stdin.take();
    let output = thread::scope(|s| {
        // A thread of its own writes, because a long input and a long output would wait for each other. A program that
        // ends early breaks the pipe; its exit status says more than that.
        s.spawn(move || stdin.map(|mut to| to.write_all(input.as_bytes())));
        child.wait_with_output()
    })
    .map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let line = offending_line(&message, input).map(|l| format!(" (line: {l})")).unwrap_or_default();
    Err(failed(format!("{message}{line}")))
}

/// The line of a batch that `ip` or `bridge` named as `Command failed -:3`.
fn offending_line<'a>(message: &str, input: &'a str) -> Option<&'a str> {
    let (_, number) = message.rsplit_once("-:")?;
    input.lines().nth(number.trim().parse::<usize>().ok()?.checked_sub(1)?)
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// `ip -batch` in the caller's namespace, for what is not about links: the namespaces themselves.
pub(crate) fn ip_batch(lines: &str) -> Result<(), LabError> {
    let mut c = Command::new("ip");
    c.args(["-batch", "-"]);
    run(c, lines).map(drop)
}

/// `ip -batch` in a namespace.
pub(crate) fn ip_batch_in(netns: &str, lines: &str) -> Result<(), LabError> {
    let mut c = Command::new("ip");
    c.args(["-n", netns, "-batch", "-"]);
    run(c, lines).map(drop)
}

/// `bridge -batch` in a namespace.
pub(crate) fn bridge_batch_in(netns: &str, lines: &str) -> Result<(), LabError> {
    let mut c = Command::new("bridge");
    c.args(["-n", netns, "-batch", "-"]);
    run(c, lines).map(drop)
}
