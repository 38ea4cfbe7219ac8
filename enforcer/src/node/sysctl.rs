//! br_netfilter's switches: whether bridged frames reach the IP hooks at all.

use std::{fs, io, path::Path};

/// `net.bridge.bridge-nf-call-*` of this network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgeNetfilter {
    /// `bridge-nf-call-iptables`.
    pub iptables: bool,
    /// `bridge-nf-call-ip6tables`.
    pub ip6tables: bool,
}

/// Where the kernel shows them, once the module is loaded.
pub(super) const FOLDER: &str = "/proc/sys/net/bridge";

impl BridgeNetfilter {
    /// What the kernel says. `None`: br_netfilter is not loaded.
    #[must_use]
    pub fn read() -> Option<Self> {
        let read = |name: &str| Some(fs::read_to_string(Path::new(FOLDER).join(name)).ok()?.trim() != "0");
        Some(Self {
            iptables: read("bridge-nf-call-iptables")?,
            ip6tables: read("bridge-nf-call-ip6tables")?,
        })
    }
}

/// One of `fs.inotify.*`, which count for each user of the host.
///
/// # Errors
/// It cannot be read, or is no number.
pub fn inotify_limit(name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(Path::new("/proc/sys/fs/inotify").join(name))?;
    text.trim().parse().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// Whether this kernel has IPv6 in this namespace; without it nothing asks about `bridge-nf-call-ip6tables`.
///
/// # Errors
/// `/proc` cannot be read.
pub fn has_ipv6() -> io::Result<bool> {
    fs::exists("/proc/sys/net/ipv6/conf/all")
}
