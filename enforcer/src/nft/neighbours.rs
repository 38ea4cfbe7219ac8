//! Every chain of nftables on this host, by name: who else filters and translates here. Chains of `iptables` are among them where it is
//! the usual one, which writes nftables (`iptables-nft`).

use super::{
    error::Error,
    socket::{Dumped, Socket},
    uapi::*,
    wire::{Attributes, Malformed, Messages, Request},
};

/// A chain by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChainName {
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
}

/// How often a listing that a change has interrupted is begun anew.
const ATTEMPTS: u32 = 8;
/// Chains of all families (`AF_UNSPEC`).
const ALL_FAMILIES: u8 = 0;

/// Lists them, of all families.
///
/// # Errors
/// `CAP_NET_ADMIN` is missing, the kernel has no nf_tables, or others never stop changing it.
pub fn chains() -> Result<Vec<ChainName>, Error> {
    read(&list(message::GETCHAIN)?, NFTA_CHAIN_NAME, |_| Ok(true))
}

/// Those with a rule that masquerades: nftables' own statement, or iptables' target.
///
/// # Errors
/// As [`chains`].
pub fn masquerades() -> Result<Vec<ChainName>, Error> {
    let mut chains = read(&list(message::GETRULE)?, NFTA_RULE_CHAIN, does_masquerade)?;
    chains.sort();
    chains.dedup();
    Ok(chains)
}

/// Everything of a kind, of all families.
fn list(what: u16) -> Result<Vec<u8>, Error> {
    let mut socket = Socket::open()?;
    for _ in 0..ATTEMPTS {
        let sequence = socket.take_sequence(1);
        let request = Request::new(what, NLM_F_REQUEST | NLM_F_DUMP, sequence, ALL_FAMILIES);
        let mut bytes = Vec::new();
        if socket.dump(&request.finish(), sequence, &mut bytes)? != Dumped::Interrupted {
            return Ok(bytes);
        }
    }
    Err(Error::Unsettled(ATTEMPTS))
}

/// Names in those messages that count; `name` is the attribute with the chain's.
fn read(
    bytes: &[u8],
    name: u16,
    counts: impl Fn(Attributes<'_>) -> Result<bool, Malformed>,
) -> Result<Vec<ChainName>, Error> {
    let mut chains = Vec::new();
    for message in Messages(bytes) {
        let attributes = message?.attributes()?;
        let text = |kind| attributes.text(kind).map(str::to_owned);
        if let (Some(table), Some(name)) = (text(NFTA_TABLE), text(name))
            && counts(attributes)?
        {
            chains.push(ChainName { table, name });
        }
    }
    Ok(chains)
}

fn does_masquerade(rule: Attributes<'_>) -> Result<bool, Malformed> {
    for (_, expression) in rule.nested(NFTA_RULE_EXPRESSIONS)?.iter() {
        let expression = Attributes::new(expression)?;
        let does = match expression.text(NFTA_EXPR_NAME) {
            Some("masq") => true,
            Some("target") => expression.nested(NFTA_EXPR_DATA)?.text(NFTA_TARGET_NAME) == Some("MASQUERADE"),
            _ => false,
        };
        if does {
            return Ok(true);
        }
    }
    Ok(false)
}
