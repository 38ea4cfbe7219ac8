//! Whether the first packets of connections got through, as the kernel that sent them tells.
//!
//! A lost one is sent again after a second (RFC 6298, 2.1), and counted. A clock would take a busy machine for a loss.

use std::{fs, io, time::Duration};

/// How long a connection may take that comes about: several times the wait of one whose first packets are lost.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Of the network namespace that the reading thread is in.
const COUNTERS: &str = "/proc/thread-self/net/netstat";

/// How often the calling thread's network namespace has sent the first packet of a connection, or its answer, once more
/// (`TCPSynRetrans` in Linux' `net/ipv4/proc.c`).
pub(super) fn sent_again() -> io::Result<u64> {
    read(&fs::read_to_string(COUNTERS)?)
        .ok_or_else(|| io::Error::other(format!("{COUNTERS} has no TCPSynRetrans")))
}

/// Two lines, one of names and one of values.
fn read(netstat: &str) -> Option<u64> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let (_, value) = names.split(' ').zip(values.split(' ')).find(|(name, _)| *name == "TCPSynRetrans")?;
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_name() {
        let netstat = "TcpExt: SyncookiesSent TCPSynRetrans TCPOrigDataSent\nTcpExt: 1 23 4\nIpExt: TCPSynRetrans\nIpExt: 9\n";
        assert_eq!(read(netstat), Some(23));
        assert_eq!(read("TcpExt: A\nTcpExt: 1\n"), None);
        assert!(sent_again().is_ok(), "this kernel says it");
    }
}
