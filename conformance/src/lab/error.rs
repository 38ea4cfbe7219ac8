//! What can go wrong while a lab is built, changed or probed.

use std::io;

/// An error of the lab. Each names the thing concerned and, where it is not plain, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The process is not root, so that it cannot make network namespaces.
    #[error("the lab makes network namespaces and needs root: run it as root, for example with `sudo -E`")]
    NotRoot,
    /// The kernel module that shows bridged packets to nftables is not loaded.
    #[error(
        "/proc/sys/net/bridge is missing: load the module with `modprobe br_netfilter`, or use a kernel that has it"
    )]
    NoBrNetfilter,
    /// A program ended with an error.
    #[error("`{command}` failed: {message}")]
    Command {
        /// The program and its arguments.
        command: String,
        /// What it wrote to its standard error, with the offending input line where it named one.
        message: String,
    },
    /// A system call or a file operation failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, and to what.
        what: String,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// Probes were lost because the kernel had no room for another neighbour, which is no verdict of the network.
    #[error(
        "the kernel's neighbour table was full ({0} packets lost): use fewer pods in a node, fewer labs at once, or raise \
         net.ipv4.neigh.default.gc_thresh3 and net.ipv6.neigh.default.gc_thresh3 on this machine"
    )]
    NeighboursFull(u64),
    /// A long-lived flow could not be opened.
    #[error("{what} was not established: {source}")]
    NotEstablished {
        /// From where to where.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A pod, node or address that the lab does not have.
    #[error("{0} is not in this lab")]
    Unknown(String),
    /// A pod name or an address that is taken, or a value out of its range.
    #[error("{0}")]
    Invalid(String),
    /// A thread of the lab panicked.
    #[error("a thread of the lab panicked while it worked on {0}")]
    Panicked(String),
}

impl LabError {
    /// An [`LabError::Io`] maker for `map_err`.
    pub(crate) fn io<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |e| Self::Io { what, source: e.into() }
    }
}
