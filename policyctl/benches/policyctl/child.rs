//! One run of the real program in a process of its own: how long it took, and the most memory that it had.

use nix::sys::resource::{UsageWho, getrusage};
use std::{
    error::Error,
    ffi::OsString,
    io,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// What this program is called with to be the parent of a single run.
pub(crate) const ALONE: &str = "--alone";

/// What a run cost.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// From the start of the process to its end.
    pub(crate) time: Duration,
    /// Bytes of memory that it had at most (`ru_maxrss`).
    pub(crate) memory: u64,
}

/// Runs `policyctl` with these arguments. The system knows the peak of all children of a process together, so that each
/// run has a parent of its own.
pub(crate) fn run(arguments: &[String]) -> Result<Cost, Box<dyn Error>> {
    let output = Command::new(std::env::current_exe()?).arg(ALONE).args(arguments).output()?;
    let text = String::from_utf8(output.stdout)?;
    let mut figures = text.split_whitespace().map(str::parse::<u64>);
    match (figures.next(), figures.next()) {
        (Some(Ok(nanoseconds)), Some(Ok(memory))) => {
            Ok(Cost { time: Duration::from_nanos(nanoseconds), memory })
        }
        _ => {
            Err(format!("policyctl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr))
                .into())
        }
    }
}

/// The parent's part: prints what the run cost.
pub(crate) fn alone(arguments: impl Iterator<Item = OsString>) -> Result<(), Box<dyn Error>> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_policyctl"));
    program.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = program.status()?;
    let time = start.elapsed();
    // 0 and 1 are answers.
    if !matches!(status.code(), Some(0 | 1)) {
        return Err(format!("it ended with {status}").into());
    }
    let memory = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss() << 10;
    println!("{} {memory}", time.as_nanos());
    Ok(())
}

/// The instructions of a run, all of its threads together, by callgrind; `None` without valgrind.
pub(crate) fn instructions(arguments: &[String]) -> Result<Option<u64>, Box<dyn Error>> {
    let mut program = Command::new("valgrind");
    program.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", env!("CARGO_BIN_EXE_policyctl")]);
    let output = match program.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        output => output?,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, count)| count.trim());
    match count.map(str::parse) {
        Some(Ok(count)) => Ok(Some(count)),
        _ => Err(format!("policyctl {} under valgrind: {said}", arguments.join(" ")).into()),
    }
}
