//! Conntrack entries that are no longer true (ctnetlink).

use super::{
    error::Error,
    socket::{Dumped, Socket},
    uapi::*,
    wire::{Acknowledgement, Attributes, Malformed, Message, Messages, Request},
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

/// A direction of a flow, as conntrack has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// Who sends.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// Source and destination port, of protocols that have them.
    pub ports: Option<(u16, u16)>,
}

impl Tuple {
    /// What answers travel by, where nobody translates.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            protocol: self.protocol,
            ports: self.ports.map(|(source, destination)| (destination, source)),
        }
    }
}

/// A flow that conntrack knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// Of whom conntrack takes for the initiator: who sent the first packet that it saw.
    pub original: Tuple,
    /// Of the other end.
    pub reply: Tuple,
}

impl Tracked {
    /// Neither source nor destination is replaced on the way.
    #[must_use]
    pub fn is_untranslated(&self) -> bool {
        self.reply == self.original.mirrored()
    }

    fn concerns(&self, addresses: &BTreeSet<IpAddr>) -> bool {
        let ends = [self.original, self.reply].map(|tuple| [tuple.source, tuple.destination]);
        ends.as_flattened().iter().any(|end| addresses.contains(end))
    }
}

/// An entry of conntrack's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its flow.
    pub flow: Tracked,
    family: u8,
    /// `CTA_TUPLE_ORIG`, `CTA_ZONE` and `CTA_ID` as they came, by which it is deleted.
    names: Vec<(u16, Vec<u8>)>,
}

impl Entry {
    /// Of a flow that no kernel has.
    pub(super) fn of(flow: Tracked) -> Self {
        Self { flow, family: 0, names: Vec::new() }
    }

    /// Whether one of the addresses is an end of it, in either direction.
    #[must_use]
    pub fn concerns(&self, addresses: &BTreeSet<IpAddr>) -> bool {
        self.flow.concerns(addresses)
    }
}

/// The entries that have one of the addresses in either tuple. The kernel walks its whole table, whatever it holds: some 16 ms
/// for the 262,144 buckets of a larger node.
pub(super) fn tracked(socket: &mut Socket, addresses: &BTreeSet<IpAddr>) -> Result<Vec<Entry>, Error> {
    if addresses.is_empty() {
        return Ok(Vec::new());
    }
    for _ in 0..ATTEMPTS {
        let sequence = socket.take_sequence(1);
        let request =
            Request::new(IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP, sequence, NFPROTO_UNSPEC).finish();
        let mut entries = Vec::new();
        // Each is read as it comes: all of a full table would be a hundred megabytes.
        let dumped = socket.dump_each(&request, sequence, |message, _| {
            entries.extend(entry(message, addresses)?);
            Ok(())
        })?;
        // An interrupted dump may show an entry twice or not at all.
        if dumped != Dumped::Interrupted {
            return Ok(entries);
        }
    }
    Err(Error::Unsettled(ATTEMPTS))
}

/// Deletes entries, and tells how many there were still.
pub(super) fn forget(socket: &mut Socket, entries: &[Entry]) -> Result<usize, Error> {
    let mut deleted = 0;
    for some in entries.chunks(AT_ONCE) {
        deleted += delete(socket, some)?;
    }
    Ok(deleted)
}

/// `None` if none of the addresses is an end of it.
fn entry(message: &Message<'_>, addresses: &BTreeSet<IpAddr>) -> Result<Option<Entry>, Error> {
    let entry = message.attributes()?;
    let flow = Tracked { original: tuple(&entry, CTA_TUPLE_ORIG)?, reply: tuple(&entry, CTA_TUPLE_REPLY)? };
    if !flow.concerns(addresses) {
        return Ok(None);
    }
    let names = [CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID].into_iter();
    let names = names.filter_map(|kind| Some((kind, entry.get(kind)?.to_vec()))).collect();
    Ok(Some(Entry { flow, family: message.family(), names }))
}

fn tuple(entry: &Attributes<'_>, kind: u16) -> Result<Tuple, Malformed> {
    let tuple = entry.nested(kind)?;
    let mut ends = ends_of(tuple.nested(CTA_TUPLE_IP)?);
    let protocol = tuple.nested(CTA_TUPLE_PROTO)?;
    let number = protocol.get(CTA_PROTO_NUM).and_then(|value| value.first());
    let (Some(source), Some(destination), Some(&number)) = (ends.next(), ends.next(), number) else {
        return Err(Malformed("a conntrack tuple that lacks an end or its protocol"));
    };
    let port = |kind| Some(u16::from_be_bytes(protocol.get(kind)?.try_into().ok()?));
    let ports = port(CTA_PROTO_SRC_PORT).zip(port(CTA_PROTO_DST_PORT));
    Ok(Tuple { source, destination, protocol: number, ports })
}

/// Source and destination, in the order in which the kernel has them (`ipv4_tuple_to_nlattr`).
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
