//! The processor that measures: one of its own, as far as a shared machine allows.

use crate::lab::LabError;
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::{Pid, gettid},
};
use std::process::Command;

/// Above every normal process, below the kernel's own watchdogs.
const PRIORITY: &str = "10";

/// Ties the calling thread to the last processor and lets it run ahead of all normal processes (`SCHED_FIFO`). Threads
/// that were started before are not concerned.
///
/// # Errors
/// [`LabError::Io`] if the processor cannot be had; [`LabError::Command`] with the words of `chrt` where real-time
/// scheduling is not permitted.
pub fn claim() -> Result<(), LabError> {
    let last = std::thread::available_parallelism().map_or(0, |n| n.get() - 1);
    let mut cpus = CpuSet::new();
    cpus.set(last)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &cpus))
        .map_err(LabError::io(format!("pin the measuring thread to processor {last}")))?;
    let thread = gettid().to_string();
    let mut command = Command::new("chrt");
    command.args(["--fifo", "--pid", PRIORITY, &thread]);
    let output = command.output().map_err(LabError::io("start chrt"))?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LabError::Command { command: format!("chrt --fifo --pid {PRIORITY} {thread}"), message })
}

/// The average number of processes that wanted to run in the last minute, from `/proc/loadavg`; `?` where there is none.
#[must_use]
pub fn load() -> String {
    average(0)
}

/// The same of the last quarter of an hour.
#[must_use]
pub fn load_of_a_quarter() -> String {
    average(2)
}

/// A field of `/proc/loadavg`.
fn average(field: usize) -> String {
    let averages = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').nth(field).filter(|field| !field.is_empty()).unwrap_or("?").to_owned()
}
