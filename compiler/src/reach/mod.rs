//! Everything that a ruleset lets one side of a local pod send or receive, read from its chains and sets.
//!
//! The program is walked with a region instead of a packet: all (peer address, protocol, port) at once. A rule cuts from
//! the region what its tests match; the rest goes on to the next rule. What comes back from the program is the reach. The
//! ruleset may be the compiler's or one read back from a kernel: nothing is taken for granted about its shape, and what
//! cannot be told exactly is an error, never a guess.
//!
//! A reach speaks of packets whose transport protocol is known and that conntrack does not call `related`: errors about
//! other flows are let pass by the chain `deny`, whatever the program says.

mod region;
mod statement;
mod table;

use crate::{
    ir::{Family, Name, Ruleset, Statement, Table, Verdict},
    skeleton::{AddressFamily, Orientation, dispatch_map, ends},
};
use policy_model::{
    policy::Direction,
    reach::{Difference, Reach},
};
use region::Region;
use statement::View;
use std::net::IpAddr;

/// The kernel's bound on nested chains (`NFT_JUMP_STACK_SIZE`).
const MAX_DEPTH: usize = 16;

/// Why the reach cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// The address is in no dispatch map: as a packet of the pod bridge it is a stray.
    #[error("{address} is not in map {map}: it is no known local pod's address")]
    Stray {
        /// The address asked for.
        address: IpAddr,
        /// The dispatch map.
        map: Name,
    },
    /// The dispatch map is not there.
    #[error("the table inet palisade has no map {map}")]
    NoMap {
        /// The dispatch map.
        map: Name,
    },
    /// A verdict leads to a chain that is not there.
    #[error("a verdict leads to chain {chain}, which does not exist")]
    NoChain {
        /// The chain.
        chain: Name,
    },
    /// Chains lead to each other in a loop, or deeper than the kernel allows.
    #[error("chain {chain} is reached through 16 chains or more")]
    TooDeep {
        /// The chain that is one too many.
        chain: Name,
    },
    /// A rule whose meaning for all packets cannot be told.
    #[error("rule {rule} of chain {chain}: {why}")]
    Rule {
        /// The chain.
        chain: Name,
        /// The rule's index in it, from 0.
        rule: usize,
        /// What stands in the way.
        why: String,
    },
    /// Fragments, whose ports cannot be read, are treated otherwise than all ports of their protocol together; a reach
    /// cannot say that.
    #[error("packets without a readable port pass otherwise than all ports together do: {difference}")]
    Fragments {
        /// `here` is what fragments are allowed, `there` what they would be if all ports were.
        difference: Box<Difference>,
    },
}

/// What the pod with this address may exchange with every other address of the same family: for
/// [`Egress`](Direction::Egress) as the initiator, for [`Ingress`](Direction::Ingress) as the responder. The port is the
/// responder's. Read from the chains for packets of that orientation; both orientations must yield the same.
///
/// # Errors
/// If the address is in no dispatch map, or what becomes of some packets cannot be told exactly.
pub fn reach(
    ruleset: &Ruleset,
    address: IpAddr,
    direction: Direction,
    orientation: Orientation,
) -> Result<Reach, Unclear> {
    let family = AddressFamily::of(address);
    let map = Name::from(dispatch_map(direction, family, orientation));
    let no_map = || Unclear::NoMap { map: map.clone() };
    let table = ruleset.tables.get(&Family::Inet).ok_or_else(no_map)?;
    let dispatch = table.sets.get(&map).ok_or_else(no_map)?;
    let verdict = dispatch
        .find(&crate::ir::Key::address(address))
        .flatten()
        .and_then(|attributes| attributes.verdict.as_ref())
        .ok_or_else(|| Unclear::Stray { address, map: map.clone() })?;

    let (initiator, responder) = ends(family, orientation);
    let (own, peer) = match direction {
        Direction::Egress => (initiator, responder),
        Direction::Ingress => (responder, initiator),
    };
    let mut reader =
        Reader { table, view: View { address, own, peer, orientation }, known: table::Known::default() };
    let allowed = match verdict {
        Verdict::Drop => Region::none(),
        Verdict::Return => Region::all(address),
        Verdict::Jump(chain) | Verdict::Goto(chain) => reader.chain(chain, Region::all(address), 1)?,
    };
    match allowed.fragments_apart() {
        None => Ok(allowed.open),
        Some(difference) => Err(Unclear::Fragments { difference: Box::new(difference) }),
    }
}

/// Walks chains with regions.
struct Reader<'a> {
    table: &'a Table,
    view: View,
    known: table::Known<'a>,
}

/// A verdict, and the part of the region that gets it.
type Part<'a> = (&'a Verdict, Region);

impl<'a> Reader<'a> {
    /// What of `region` comes back from the chain to where it was entered.
    fn chain(&mut self, name: &'a Name, mut region: Region, depth: usize) -> Result<Region, Unclear> {
        if depth == MAX_DEPTH {
            return Err(Unclear::TooDeep { chain: name.clone() });
        }
        let chain = self.table.chains.get(name).ok_or_else(|| Unclear::NoChain { chain: name.clone() })?;
        let mut back = Vec::new();
        for (index, rule) in chain.rules.iter().enumerate() {
            if region.is_empty() {
                break;
            }
            let unclear = |why| Unclear::Rule { chain: name.clone(), rule: index, why };
            let parts = self.rule(&rule.statements, &region).map_err(unclear)?;
            let (verdicts, parts): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
            if !parts.is_empty() {
                region = region.difference(&Region::union_of(&parts));
            }
            for (verdict, part) in verdicts.into_iter().zip(parts) {
                match verdict {
                    Verdict::Drop => {}
                    Verdict::Return => back.push(part),
                    Verdict::Goto(to) => back.push(self.chain(to, part, depth + 1)?),
                    Verdict::Jump(to) => region = region.union(&self.chain(to, part, depth + 1)?),
                }
            }
        }
        back.push(region);
        Ok(Region::union_of(&back))
    }

    /// The parts of `region` that the rule has a verdict for; the rest goes on to the next rule.
    fn rule(&mut self, statements: &'a [Statement], region: &Region) -> Result<Vec<Part<'a>>, String> {
        let decides = |s: &Statement| matches!(s, Statement::Verdict(_) | Statement::VerdictMap(..));
        // A rule without a verdict counts or logs, and every packet goes on.
        if !statements.iter().any(decides) {
            return Ok(Vec::new());
        }
        // Tests that no packet of this walk passes come first: what stands before them need not be understood.
        if statements.iter().any(|s| self.view.constant(s) == Some(false)) {
            return Ok(Vec::new());
        }
        let mut matched = region.clone();
        for statement in statements {
            if matched.is_empty() {
                break;
            }
            match statement {
                Statement::Verdict(verdict) => return Ok(vec![(verdict, matched)]),
                Statement::VerdictMap(key, map) => return self.verdict_map(key, map, &matched),
                Statement::Lookup { key, set, negate } => {
                    matched = self.look_up(key, set, *negate, &matched)?;
                }
                test => {
                    if self.view.constant(test) != Some(true) {
                        matched = self.view.narrow(test, matched)?;
                    }
                }
            }
        }
        Ok(Vec::new())
    }
}
