//! Walks a ruleset with one packet, as `nft_do_chain` in the kernel's `net/netfilter/nf_tables_core.c` does.
//!
//! What is held to the kernel: `goto` leaves no way back while `jump` does, the end of a chain that was jumped to comes
//! back to the caller, a base chain's end accepts; a test whose field the packet does not have fails, `!=` too; statements
//! take effect from left to right until one fails; `accept` of one base chain is not final, `drop` is.

mod flow;
mod packet;
mod trace;
mod walk;

pub use flow::{Flow, Links, Moment, Route};
pub use packet::{Arp, Ct, CtState, Frame, Interface, Ip, Network, NoEntry, Packet, PacketType};
pub use trace::{At, Hit, Miss, Step};

use crate::ir::{Family, Hook, Name, Ruleset};

/// What became of a packet in all base chains of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the variants are nft's words")]
pub enum Verdict {
    Accept,
    Drop,
}

/// What a `limit` statement says; the IR holds no clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rate {
    /// Below the rate: it matches.
    #[default]
    Within,
    /// Above the rate: it does not.
    Exceeded,
}

/// A packet's way through one hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<'a> {
    /// Of the hook as a whole.
    pub verdict: Verdict,
    /// Every rule that was asked, in order, and every end of a chain.
    pub trace: Vec<Step<'a>>,
    /// Counters that counted the packet, in order.
    pub counters: Vec<&'a Name>,
    /// Prefixes of log messages, in order.
    pub logs: Vec<&'a str>,
}

/// The kernel would not have loaded this ruleset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A verdict leads to a chain that is not there.
    #[error("chain {from} leads to chain {chain}, which does not exist")]
    NoChain {
        /// Where the verdict stands.
        from: Name,
        /// Where it leads.
        chain: Name,
    },
    /// A verdict leads to a base chain.
    #[error("chain {from} leads to chain {chain}, which is a base chain")]
    IntoBase {
        /// Where the verdict stands.
        from: Name,
        /// Where it leads.
        chain: Name,
    },
    /// More chains lie on the way than the kernel allows (`NFT_JUMP_STACK_SIZE`); a loop is such a way.
    #[error("chain {chain} is reached through 16 chains or more, the kernel allows 15")]
    TooDeep {
        /// The chain that is one too many.
        chain: Name,
    },
    /// A rule asks a set that is not there, or one whose key is of another length.
    #[error("rule {rule} of chain {chain} asks set {set}, which {why}")]
    Set {
        /// The rule's chain.
        chain: Name,
        /// The rule's index in it, from 0.
        rule: usize,
        /// The set.
        set: Name,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// The way of a packet through one hook of one of our tables, below the rate of every `limit`.
///
/// # Errors
/// If the packet comes to a rule that the kernel would not have loaded.
pub fn evaluate<'a>(
    ruleset: &'a Ruleset,
    family: Family,
    hook: Hook,
    packet: &Packet,
) -> Result<Outcome<'a>, Refused> {
    evaluate_at(ruleset, family, hook, packet, Rate::Within)
}

/// The same with every `limit` as given.
///
/// # Errors
/// If the packet comes to a rule that the kernel would not have loaded.
pub fn evaluate_at<'a>(
    ruleset: &'a Ruleset,
    family: Family,
    hook: Hook,
    packet: &Packet,
    rate: Rate,
) -> Result<Outcome<'a>, Refused> {
    let accepted =
        Outcome { verdict: Verdict::Accept, trace: Vec::new(), counters: Vec::new(), logs: Vec::new() };
    match ruleset.tables.get(&family) {
        Some(table) => walk::Walk { table, family, packet, rate, outcome: accepted }.through(hook),
        None => Ok(accepted),
    }
}
