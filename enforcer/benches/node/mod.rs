//! One node in a network namespace of its own: the benches' cluster, the compiler, and a kernel that follows it.

use crate::cluster::{NODE, Size, changes};
use compiler::{Compiler, Event, config::Config, delta::Delta};
use enforcer::nft::{Backend, Error, Kernel};
use nix::{
    sched::{CloneFlags, unshare},
    time::{ClockId, clock_gettime},
    unistd::gettid,
};
use std::{process::Command, thread, time::Duration};

/// Puts the calling thread ahead of all normal processes: budgets are for an idle node.
pub(crate) fn real_time() -> Result<(), String> {
    let output = Command::new("chrt").args(["--fifo", "--pid", "10", &gettid().to_string()]).output();
    let output = output.map_err(|error| format!("start chrt: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Does `work` in a new network namespace, which exists as long as a socket of it does.
pub(crate) fn in_namespace<T: Send>(work: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    let run = || {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("make a network namespace: {error}"))?;
        work()
    };
    thread::scope(|scope| scope.spawn(run).join()).unwrap_or_else(|_| Err("a thread panicked".to_owned()))
}

/// A socket to a network namespace of its own.
pub(crate) fn fresh_kernel() -> Result<Kernel, String> {
    in_namespace(|| Kernel::open().map_err(|error| error.to_string()))
}

/// Processor time of the calling thread.
pub(crate) fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// The value that a hundredth of these are not above; zero if there are none.
pub(crate) fn percentile(times: &[Duration], hundredth: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted
        .get((sorted.len() * hundredth / 100).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

/// A line that `cargo bench-all` gathers.
pub(crate) fn budget(what: &str, limit: &str, measured: &str, met: bool) -> String {
    format!("budget: {what} | {limit} | {measured} | {}", if met { "met" } else { "not met" })
}

/// The compiler and the kernel that follows it.
pub(crate) struct Node {
    pub(crate) compiler: Compiler,
    pub(crate) kernel: Kernel,
}

impl Node {
    /// With the whole cluster in force.
    pub(crate) fn start(size: &Size) -> Result<Self, String> {
        let mut compiler = Compiler::new(Config::new(NODE, "cni0"));
        changes(size).into_iter().for_each(|change| compiler.apply(Event::Cluster(change)));
        let mut node = Self { compiler, kernel: fresh_kernel()? };
        node.commit().and_then(|_| node.clean_up()).map_err(|error| error.to_string())?;
        Ok(node)
    }

    /// Sends what has changed; gives it, and the number of messages.
    pub(crate) fn commit(&mut self) -> Result<(Delta, usize), Error> {
        let delta = self.compiler.commit();
        let messages = if delta.is_empty() { 0 } else { self.kernel.commit(&delta, None)?.messages };
        Ok((delta, messages))
    }

    /// Commits until nothing waits to be removed.
    pub(crate) fn clean_up(&mut self) -> Result<(), Error> {
        while !self.compiler.settled() {
            self.commit()?;
        }
        Ok(())
    }
}
