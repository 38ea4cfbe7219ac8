//! What this host is like: its links and addresses, its pod bridge, its switches, and which interface is which pod's.

pub mod cni;
mod cni_cache;
pub mod cni_conf;
pub mod facts;
pub mod flags;
mod kept;
mod leases;
mod link_watch;
pub mod module;
pub mod rtnl;
pub mod sandboxes;
pub mod sole;
pub mod subnet;
pub mod switches;
pub mod sysctl;
pub mod tracker;
pub mod watch;
