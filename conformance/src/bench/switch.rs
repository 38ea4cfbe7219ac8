//! Putting tables to sleep and waking them, in microseconds: `nft` would take longer than a visit does.
//!
//! A batch of `NFT_MSG_NEWTABLE` messages that set the flag `dormant` of tables which exist
//! (`include/uapi/linux/netfilter/nf_tables.h`, `nfnetlink.h`).

use super::nfnetlink::{NLM_F_ACK, NLM_F_REQUEST, Nfnetlink, attribute, message};
use crate::lab::{LabError, Netns};

const NFPROTO_INET: u8 = 1;
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_BRIDGE: u8 = 7;
const NFPROTO_IPV6: u8 = 10;

const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFT_MSG_NEWTABLE: u16 = NFNL_SUBSYS_NFTABLES << 8;
const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_FLAGS: u16 = 2;
const NFT_TABLE_F_DORMANT: u32 = 1;

/// A socket to nf_tables in one network namespace.
#[derive(Debug)]
pub(super) struct Switch(Nfnetlink);

impl Switch {
    pub(super) fn open(netns: &Netns) -> Result<Self, LabError> {
        Ok(Self(Nfnetlink::open(netns, "nf_tables")?))
    }

    /// In one transaction: each table, named as nft does (`inet filter`), and whether it is to sleep.
    pub(super) fn set(&self, tables: &[(&str, bool)]) -> Result<(), LabError> {
        let mut batch = message(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, 0, NFNL_SUBSYS_NFTABLES, &[]);
        for (table, sleeps) in tables {
            let (family, name) = table.split_once(' ').unwrap_or(("inet", table));
            let flags = if *sleeps { NFT_TABLE_F_DORMANT } else { 0 };
            let mut attributes = attribute(NFTA_TABLE_NAME, &[name.as_bytes(), &[0]].concat());
            attributes.extend(attribute(NFTA_TABLE_FLAGS, &flags.to_be_bytes()));
            batch.extend(message(
                NFT_MSG_NEWTABLE,
                NLM_F_REQUEST | NLM_F_ACK,
                nfproto(family),
                0,
                &attributes,
            ));
        }
        batch.extend(message(NFNL_MSG_BATCH_END, NLM_F_REQUEST, 0, NFNL_SUBSYS_NFTABLES, &[]));
        self.0.send(&batch, tables.len())
    }
}

fn nfproto(family: &str) -> u8 {
    match family {
        "ip" => NFPROTO_IPV4,
        "ip6" => NFPROTO_IPV6,
        "bridge" => NFPROTO_BRIDGE,
        _ => NFPROTO_INET,
    }
}
