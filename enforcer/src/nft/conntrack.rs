//! Conntrack entries of addresses that have died (ctnetlink).

use super::{
    error::Error,
    socket::{Dumped, Socket},
    uapi::*,
    wire::{Acknowledgement, Attributes, Messages, Request},
};
use nix::errno::Errno;
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// How often to read the entries again where the dump was interrupted.
const ATTEMPTS: u32 = 20;
/// Requests in one datagram: their errors must fit the receive buffer.
const AT_ONCE: usize = 256;

/// One entry, so far as it names it.
struct Entry {
    family: u8,
    /// `CTA_TUPLE_ORIG`, `CTA_ZONE` and `CTA_ID` as they came.
    names: Vec<(u16, Vec<u8>)>,
}

/// Deletes the entries that have one of the addresses in either tuple, and tells how many.
pub(super) fn forget(socket: &mut Socket, addresses: &[IpAddr]) -> Result<usize, Error> {
    let addresses: BTreeSet<IpAddr> = addresses.iter().copied().collect();
    if addresses.is_empty() {
        return Ok(0);
    }
    let entries = entries(socket, &addresses)?;
    let mut deleted = 0;
    for some in entries.chunks(AT_ONCE) {
        deleted += delete(socket, some)?;
    }
    Ok(deleted)
}

fn entries(socket: &mut Socket, addresses: &BTreeSet<IpAddr>) -> Result<Vec<Entry>, Error> {
    for _ in 0..ATTEMPTS {
        let sequence = socket.take_sequence(1);
        let request =
            Request::new(IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP, sequence, NFPROTO_UNSPEC).finish();
        let mut bytes = Vec::new();
        // An interrupted dump may show an entry twice or not at all.
        if socket.dump(&request, sequence, &mut bytes)? != Dumped::Interrupted {
            return parse(&bytes, addresses);
        }
    }
    Err(Error::Unsettled(ATTEMPTS))
}

/// The entries of a dump that have one of the addresses.
fn parse(messages: &[u8], addresses: &BTreeSet<IpAddr>) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    for message in Messages(messages) {
        let message = message?;
        let entry = message.attributes()?;
        let mut concerned = false;
        for tuple in [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY] {
            let ends = entry.nested(tuple)?.nested(CTA_TUPLE_IP)?;
            concerned |= ends_of(ends).any(|address| addresses.contains(&address));
        }
        if concerned {
            let names = [CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID].into_iter();
            let names = names.filter_map(|kind| Some((kind, entry.get(kind)?.to_vec()))).collect();
            entries.push(Entry { family: message.family(), names });
        }
    }
    Ok(entries)
}

fn ends_of(ends: Attributes<'_>) -> impl Iterator<Item = IpAddr> {
    ends.iter().filter_map(|(kind, value)| match kind {
        CTA_IP_V4_SRC | CTA_IP_V4_DST => Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).into()),
        CTA_IP_V6_SRC | CTA_IP_V6_DST => Some(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).into()),
        _ => None,
    })
}

/// Set on the type of an attribute that holds attributes (`NLA_F_NESTED`); ctnetlink insists on it.
const NESTED: u16 = 0x8000;

fn delete(socket: &mut Socket, entries: &[Entry]) -> Result<usize, Error> {
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let first = socket.take_sequence(count);
    let mut bytes = Vec::new();
    for (entry, sequence) in entries.iter().zip(first..) {
        let flags = NLM_F_REQUEST | NLM_F_ACK;
        let request = Request::new(IPCTNL_MSG_CT_DELETE, flags, sequence, entry.family);
        let request = entry.names.iter().fold(request, |request, (kind, value)| {
            let nested = if *kind == CTA_TUPLE_ORIG { NESTED } else { 0 };
            request.with(kind | nested, value)
        });
        bytes.extend(request.finish());
    }
    socket.send(&bytes)?;
    let (deadline, mut buffer) = (Socket::deadline(), Vec::new());
    let (mut answered, mut deleted) = (0, 0);
    while answered < entries.len() {
        let len = socket.receive(&mut buffer, deadline)?;
        for message in Messages(&buffer[..len]) {
            let message = message?;
            if message.kind != NLMSG_ERROR || message.sequence.wrapping_sub(first) >= count {
                continue;
            }
            answered += 1;
            match Acknowledgement::read(&message)?.errno {
                0 => deleted += 1,
                errno => match Errno::from_raw(errno) {
                    // It has gone by itself.
                    Errno::ENOENT => {}
                    errno => return Err(Error::system("delete a conntrack entry")(errno)),
                },
            }
        }
    }
    Ok(deleted)
}
