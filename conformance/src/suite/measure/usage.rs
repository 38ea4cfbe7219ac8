//! What the engine's process takes on the nodes.

use crate::cluster::{Cluster, ClusterError, Engine};
use nix::unistd::{SysconfVar, sysconf};
use std::time::Duration;

/// At one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usage {
    /// The largest resident set of a node, in MiB.
    pub(super) memory: f64,
    /// Processor seconds since the start of the processes, mean of the nodes.
    seconds: f64,
}

impl Usage {
    pub(super) fn of(cluster: &Cluster) -> Result<Self, ClusterError> {
        let name = match cluster.options().engine {
            Engine::None => return Ok(Self::default()),
            Engine::Palisade => "policyd",
            Engine::KubeRouter => "kube-router",
        };
        let script = format!("for pid in $(pgrep -x {name}); do cat /proc/$pid/status /proc/$pid/stat; done");
        let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100) as f64;
        let (mut largest, mut seconds) = (0.0_f64, 0.0);
        for node in cluster.nodes() {
            let text = node.exec(&["sh", "-c", &script])?;
            largest = largest.max(resident(&text));
            seconds += processor(&text) / ticks;
        }
        Ok(Self { memory: largest, seconds: seconds / cluster.nodes().len().max(1) as f64 })
    }

    /// Of one processor.
    pub(super) fn percent_since(&self, before: &Self, time: Duration) -> f64 {
        (self.seconds - before.seconds) / time.as_secs_f64() * 100.0
    }
}

/// MiB, from lines such as `VmRSS:   12345 kB`.
fn resident(text: &str) -> f64 {
    let sizes = text
        .lines()
        .filter_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<f64>().ok());
    sizes.sum::<f64>() / 1024.0
}

/// Ticks in user and kernel mode: the 14th and 15th field of `/proc/pid/stat` (proc_pid_stat(5)).
fn processor(text: &str) -> f64 {
    let lines = text.lines().filter_map(|line| {
        let (_, rest) = line.rsplit_once(") ")?;
        let mut fields = rest.split(' ').skip(11);
        Some(fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?)
    });
    lines.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_ticks_are_read() {
        let text = "Name:\tpolicyd\nVmRSS:\t    2048 kB\n7 (policyd) S 1 7 7 0 -1 4194560 9 0 0 0 30 12 0 0 20 0 5 0 100\n";
        assert_eq!(resident(text), 2.0);
        assert_eq!(processor(text), 42.0);
    }
}
