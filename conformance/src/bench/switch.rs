//! Putting tables to sleep and waking them, in microseconds: `nft` would take longer than a visit does.
//!
//! A batch of `NFT_MSG_NEWTABLE` messages that set the flag `dormant` of tables which exist
//! (`include/uapi/linux/netfilter/nf_tables.h`, `nfnetlink.h`).

use crate::lab::{LabError, Netns};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

const NFPROTO_INET: u8 = 1;
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_BRIDGE: u8 = 7;
const NFPROTO_IPV6: u8 = 10;

const NLMSG_ERROR: u16 = 2;
const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFT_MSG_NEWTABLE: u16 = NFNL_SUBSYS_NFTABLES << 8;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_FLAGS: u16 = 2;
const NFT_TABLE_F_DORMANT: u32 = 1;

/// A socket to nf_tables in one network namespace.
#[derive(Debug)]
pub(super) struct Switch {
    socket: OwnedFd,
    name: String,
}

impl Switch {
    pub(super) fn open(netns: &Netns) -> Result<Self, LabError> {
        let protocol = SockProtocol::NetlinkNetFilter;
        let open = || socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol);
        let name = format!("nf_tables in {}", netns.name());
        let socket = netns.enter(open)?.map_err(LabError::io(name.clone()))?;
        Ok(Self { socket, name })
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
        let socket = self.socket.as_raw_fd();
        send(socket, &batch, MsgFlags::empty()).map_err(LabError::io(self.name.clone()))?;
        let mut answered = 0;
        while answered < tables.len() {
            let mut answers = [0; 8192];
            let length =
                recv(socket, &mut answers, MsgFlags::empty()).map_err(LabError::io(self.name.clone()))?;
            answered += self.read(&answers[..length])?;
        }
        Ok(())
    }

    /// How many acknowledgements there are in a datagram, none of them an error.
    fn read(&self, mut answers: &[u8]) -> Result<usize, LabError> {
        let mut count = 0;
        while let Some((header, _)) = answers.split_first_chunk::<20>() {
            let word = |at: usize| <[u8; 4]>::try_from(&header[at..at + 4]).unwrap_or_default();
            let length = u32::from_ne_bytes(word(0)) as usize;
            let kind = u16::from_ne_bytes([header[4], header[5]]);
            let errno = i32::from_ne_bytes(word(16));
            if kind == NLMSG_ERROR && errno != 0 {
                return Err(LabError::io(self.name.clone())(io::Error::from_raw_os_error(-errno)));
            }
            count += usize::from(kind == NLMSG_ERROR);
            answers = answers.get(length.max(header.len()).next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(count)
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

/// A netlink message with netfilter's own header after the general one.
fn message(kind: u16, flags: u16, family: u8, resource: u16, attributes: &[u8]) -> Vec<u8> {
    let length = (20 + attributes.len()) as u32;
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    // Sequence number and port: nobody else asks on this socket.
    bytes.extend([0; 8]);
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(attributes);
    bytes
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
