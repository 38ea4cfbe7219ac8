//! What can go wrong, with the object that it went wrong for.

use compiler::ir::{Family, Name};
use nix::errno::Errno;
use std::fmt;

/// A thing in the kernel that a request was about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are a table's family and names within it")]
pub enum Object {
    Table {
        family: Family,
    },
    Counter {
        family: Family,
        name: Name,
    },
    Set {
        family: Family,
        name: Name,
    },
    /// An element as nft would write it, without its comment.
    Element {
        family: Family,
        set: Name,
        element: String,
    },
    Chain {
        family: Family,
        name: Name,
    },
    /// A rule by its place in the chain, from 0.
    Rule {
        family: Family,
        chain: Name,
        index: usize,
    },
    /// Something that Palisade never makes: a flowtable, a quota.
    Other {
        family: Family,
        name: Name,
    },
    /// The transaction as a whole.
    Batch,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = compiler::ir::TABLE;
        match self {
            Self::Table { family } => write!(f, "table {family} {table}"),
            Self::Counter { family, name } => write!(f, "counter {name} of {family} {table}"),
            Self::Set { family, name } => write!(f, "set {name} of {family} {table}"),
            Self::Element { family, set, element } => {
                write!(f, "element {element} of set {set} of {family} {table}")
            }
            Self::Chain { family, name } => write!(f, "chain {name} of {family} {table}"),
            Self::Rule { family, chain, index } => {
                write!(f, "rule {index} of chain {chain} of {family} {table}")
            }
            Self::Other { family, name } => write!(f, "object {name} of {family} {table}"),
            Self::Batch => f.write_str("the transaction"),
        }
    }
}

/// One refused operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it was about.
    pub object: Object,
    /// Which operation of the Delta, from 0.
    pub op: usize,
    /// The kernel's reason.
    pub errno: Errno,
    /// The kernel's words (`NETLINK_EXT_ACK`), where it has any.
    pub message: Option<String>,
}

impl Refusal {
    /// The reason in words that fit the object; nf_tables uses some numbers in a way of its own.
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        match (self.errno, &self.object) {
            (Errno::ENFILE, _) => "the set is full: its size is reached",
            (Errno::EEXIST, Object::Element { .. }) => "it is there already, or overlaps another range",
            (Errno::EEXIST, _) => "it is there already",
            (Errno::ENOENT, Object::Rule { .. }) => "something that it names does not exist",
            (Errno::ENOENT, _) => "it does not exist",
            (Errno::EBUSY, Object::Element { .. }) => "it is there already with another verdict",
            (Errno::EBUSY, _) => "it is still in use",
            (Errno::ELOOP | Errno::EMLINK, _) => {
                "chains would call each other in a circle, or more than 16 deep"
            }
            (Errno::EPROTO, Object::Rule { .. }) => "this kernel has no conntrack for this family",
            (Errno::EPERM, _) => "the table is owned by another process (flags owner)",
            (Errno::EAFNOSUPPORT | Errno::EOPNOTSUPP, _) => "this kernel does not support it",
            (errno, _) => errno.desc(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({:?})", self.object, self.meaning(), self.errno)?;
        self.message.as_ref().map_or(Ok(()), |message| write!(f, ": {message}"))
    }
}

/// Why a request to the kernel failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused these operations; nothing of the transaction has happened. Never empty.
    #[error("commit: the kernel refused {}{}", .0[0], and_more(.0.len()))]
    Refused(Vec<Refusal>),
    /// The ruleset is no longer the generation that the Delta was made for; nothing has happened. Read it again.
    #[error("commit: the ruleset has changed since it was read, it is no longer generation {0}")]
    Restart(u32),
    /// No room for an answer, so it is not known what has happened. Read the tables again.
    #[error("read the kernel's answer: no buffer space, the outcome is unknown")]
    NoBuffers,
    /// The kernel has given no answer in time, so it is not known what has happened.
    #[error("read the kernel's answer within {0:?}")]
    Timeout(std::time::Duration),
    /// `CAP_NET_ADMIN` in the network namespace is missing.
    #[error("change nftables: CAP_NET_ADMIN is missing in this network namespace")]
    Permission,
    /// The kernel cannot do this at all.
    #[error("use {0}: this kernel does not support it")]
    Unsupported(&'static str),
    /// The IR asks for something that has no form in the kernel; nothing has been sent.
    #[error("encode {object}: {what}")]
    Invalid {
        /// Where.
        object: Box<Object>,
        /// What is wrong with it.
        what: String,
    },
    /// The kernel's answer is not what its interface says.
    #[error("understand the kernel's answer: {0}")]
    Malformed(String),
    /// The tables changed each time they were read.
    #[error("read the tables: they changed {0} times while being read")]
    Unsettled(u32),
    /// A call to the system failed.
    #[error("{doing}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: Errno,
    },
}

fn and_more(count: usize) -> String {
    match count.saturating_sub(1) {
        0 => String::new(),
        more => format!(", and {more} more"),
    }
}

impl Error {
    pub(super) fn system(doing: &'static str) -> impl Fn(Errno) -> Self {
        move |source| match source {
            Errno::EPERM => Self::Permission,
            Errno::ENOBUFS => Self::NoBuffers,
            Errno::EPROTONOSUPPORT => Self::Unsupported("netlink sockets of netfilter"),
            source => Self::System { doing, source },
        }
    }

    pub(super) fn invalid(object: Object, what: impl Into<String>) -> Self {
        Self::Invalid { object: Box::new(object), what: what.into() }
    }
}

impl From<super::wire::Malformed> for Error {
    fn from(malformed: super::wire::Malformed) -> Self {
        Self::Malformed(malformed.0.into())
    }
}
