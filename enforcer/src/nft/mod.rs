//! The kernel's nf_tables and conntrack over netlink: one atomic batch a revision, a typed read-back, notifications.
//!
//! Messages to nf_tables are built by libnftnl, the library that `nft` itself uses; what comes back is read
//! ([`parse`]) in safe Rust, from bytes alone. Neither can hide a mistake of the other: a test loads every statement
//! and reads it back as the same value.

mod backend;
mod conntrack;
mod decode;
mod element;
mod encode;
mod error;
mod expression;
pub mod fake;
mod ffi;
pub mod ipset;
mod kernel;
mod keytype;
mod layout;
pub mod leftovers;
pub mod legacy;
mod monitor;
mod neighbours;
mod part;
mod probe;
mod refusal;
mod socket;
mod statement;
mod uapi;
mod wire;

pub use backend::{Backend, Commit, Counter, Dump, Foreign};
pub use conntrack::{Entry, Tracked, Tuple};
pub use decode::parse;
pub use encode::encode;
pub use error::{Error, Object, Refusal};
pub use kernel::Kernel;
pub use layout::unknown as unknown_layout;
pub use monitor::{Event, Monitor, Stream};
pub use neighbours::{ChainName, chains, masquerades};
pub use part::{Found, Part, Wanted};
pub use probe::{Finding, probe};
