//! Every chain of nftables on this host, by name: who else filters here. Chains of `iptables` are among them where it is
//! the usual one, which writes nftables (`iptables-nft`).

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use std::io;

/// A chain by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChainName {
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
}

/// `(NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETCHAIN` and `NFT_MSG_NEWCHAIN`. Source: `linux/netfilter/nf_tables.h`.
const GET_CHAIN: u16 = (10 << 8) | 4;
const NEW_CHAIN: u16 = (10 << 8) | 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `NFTA_CHAIN_TABLE`, `NFTA_CHAIN_NAME`.
const ATTRIBUTE_TABLE: u16 = 1;
const ATTRIBUTE_NAME: u16 = 3;
/// Flags in an attribute's type (`NLA_F_NESTED`, `NLA_F_NET_BYTEORDER`).
const ATTRIBUTE_TYPE: u16 = 0x3fff;
/// `struct nlmsghdr`, and with the `struct nfgenmsg` that follows it.
const HEADER: usize = 16;
const HEADERS: usize = 20;

/// Lists them, of all families.
///
/// # Errors
/// `CAP_NET_ADMIN` is missing, or the kernel has no nf_tables.
pub fn chains() -> io::Result<Vec<ChainName>> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut request = [0; HEADERS];
    request[..4].copy_from_slice(&(HEADERS as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&GET_CHAIN.to_ne_bytes());
    request[6..8].copy_from_slice(&DUMP.to_ne_bytes());
    socket.send(&request, 0)?;

    let mut chains = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = &datagram[..];
        while let Some((kind, message)) = next_message(&mut rest) {
            match kind {
                NEW_CHAIN => chains.extend(read(message)),
                NLMSG_DONE => return Ok(chains),
                NLMSG_ERROR => return Err(error(message)),
                _ => {}
            }
        }
    }
}

/// Takes one message off: its type and all of its bytes.
fn next_message<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let length = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(rest.get(4..6)?.try_into().ok()?);
    let message = rest.get(..length.max(HEADER))?;
    *rest = rest.get(length.max(HEADER).next_multiple_of(4)..).unwrap_or_default();
    Some((kind, message))
}

fn error(message: &[u8]) -> io::Error {
    let code =
        message.get(HEADER..HEADER + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    code.map_or_else(|| io::ErrorKind::InvalidData.into(), |code| io::Error::from_raw_os_error(-code))
}

fn read(message: &[u8]) -> Option<ChainName> {
    let (mut table, mut name) = (None, None);
    let mut rest = message.get(HEADERS..)?;
    while let (Some(length), Some(kind)) = (rest.get(..2), rest.get(2..4)) {
        let length = usize::from(u16::from_ne_bytes(length.try_into().ok()?));
        let value = rest.get(4..length)?;
        match u16::from_ne_bytes(kind.try_into().ok()?) & ATTRIBUTE_TYPE {
            ATTRIBUTE_TABLE => table = text(value),
            ATTRIBUTE_NAME => name = text(value),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(ChainName { table: table?, name: name? })
}

/// Without the zero at its end.
fn text(value: &[u8]) -> Option<String> {
    String::from_utf8(value.split(|&b| b == 0).next()?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, text: &str) -> Vec<u8> {
        let length = 4 + text.len() + 1;
        let mut bytes = [(length as u16).to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(text.as_bytes());
        bytes.resize(length.next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn a_message_is_read_whatever_follows_it_and_however_it_is_cut() {
        let mut message = vec![0; HEADERS];
        message.extend(attribute(2, "handle"));
        message.extend(attribute(ATTRIBUTE_TABLE | 0x8000, "kube-proxy"));
        message.extend(attribute(ATTRIBUTE_NAME, "nat-prerouting"));
        let expected = ChainName { table: "kube-proxy".into(), name: "nat-prerouting".into() };
        assert_eq!(read(&message), Some(expected));
        for cut in 0..message.len() - 1 {
            assert_eq!(read(&message[..cut]), None, "{cut} bytes");
        }
    }

    #[test]
    fn messages_are_taken_off_until_none_is_whole() {
        let mut bytes =
            [20u32.to_ne_bytes().to_vec(), NLMSG_DONE.to_ne_bytes().to_vec(), vec![0; 14]].concat();
        let whole = bytes.clone();
        bytes.extend(&whole[..10]);
        let mut rest = &bytes[..];
        assert_eq!(
            next_message(&mut rest).map(|(kind, message)| (kind, message.len())),
            Some((NLMSG_DONE, 20))
        );
        assert_eq!(next_message(&mut rest), None);
    }
}
