//! Every chain of nftables on this host, by name: who else filters here. Chains of `iptables` are among them where it is
//! the usual one, which writes nftables (`iptables-nft`).

use super::{
    error::Error,
    socket::{Dumped, Socket},
    uapi::{NFTA_CHAIN_NAME, NFTA_TABLE, NLM_F_DUMP, NLM_F_REQUEST, message},
    wire::{Messages, Request},
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
    let mut socket = Socket::open()?;
    for _ in 0..ATTEMPTS {
        let sequence = socket.take_sequence(1);
        let request = Request::new(message::GETCHAIN, NLM_F_REQUEST | NLM_F_DUMP, sequence, ALL_FAMILIES);
        let mut bytes = Vec::new();
        if socket.dump(&request.finish(), sequence, &mut bytes)? != Dumped::Interrupted {
            return read(&bytes);
        }
    }
    Err(Error::Unsettled(ATTEMPTS))
}

fn read(bytes: &[u8]) -> Result<Vec<ChainName>, Error> {
    let mut chains = Vec::new();
    for message in Messages(bytes) {
        let attributes = message?.attributes()?;
        let text = |kind| attributes.text(kind).map(str::to_owned);
        if let (Some(table), Some(name)) = (text(NFTA_TABLE), text(NFTA_CHAIN_NAME)) {
            chains.push(ChainName { table, name });
        }
    }
    Ok(chains)
}
