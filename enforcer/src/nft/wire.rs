//! Netlink as bytes: messages, attributes, and the acknowledgements of the kernel. Reading never fails but by saying so.

use super::uapi::{
    NFNL_MSG_BATCH_BEGIN, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSGERR_ATTR_MSG, NLMSGERR_ATTR_OFFS,
};

/// Length of `struct nlmsghdr`.
pub(super) const HEADER: usize = 16;
/// Length of `struct nfgenmsg`, which follows the header in every message of netfilter.
pub(super) const NFGENMSG: usize = 4;
const ATTRIBUTE: usize = 4;
/// The upper bits of an attribute's type: nested, network byte order.
const TYPE_MASK: u16 = 0x3fff;

/// The bytes are not netlink.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) &'static str);

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// One message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    /// What follows the header.
    pub(super) payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// `NFPROTO_*` of a netfilter message.
    pub(super) fn family(&self) -> u8 {
        self.payload.first().copied().unwrap_or_default()
    }

    /// The attributes of a netfilter message.
    pub(super) fn attributes(&self) -> Result<Attributes<'a>, Malformed> {
        Attributes::new(self.payload.get(NFGENMSG..).ok_or(Malformed("a message without its family"))?)
    }
}

/// The messages of a datagram, or of several put together.
#[derive(Clone, Debug)]
pub(super) struct Messages<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let message = split_message(self.0);
        self.0 = message.as_ref().map_or(&[], |(_, rest)| rest);
        Some(message.map(|(m, _)| m).ok_or(Malformed("a message longer than what came")))
    }
}

fn split_message(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let len = u32_at(bytes, 0)? as usize;
    let message = Message {
        kind: u16_at(bytes, 4)?,
        flags: u16_at(bytes, 6)?,
        sequence: u32_at(bytes, 8)?,
        payload: bytes.get(HEADER..len)?,
    };
    Some((message, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

/// Attributes that are whole, so that walking them cannot fail.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attributes<'a>(&'a [u8]);

fn split_attribute(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let len = usize::from(u16_at(bytes, 0)?);
    let value = bytes.get(ATTRIBUTE..len)?;
    let rest = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    Some((u16_at(bytes, 2)? & TYPE_MASK, value, rest))
}

impl<'a> Attributes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let split = split_attribute(rest).ok_or(Malformed("an attribute longer than its message"))?;
            rest = split.2;
        }
        Ok(Self(bytes))
    }

    pub(super) fn iter(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (kind, value, next) = split_attribute(rest)?;
            rest = next;
            Some((kind, value))
        })
    }

    pub(super) fn get(self, kind: u16) -> Option<&'a [u8]> {
        self.iter().find(|&(k, _)| k == kind).map(|(_, value)| value)
    }

    pub(super) fn has(self, kind: u16) -> bool {
        self.get(kind).is_some()
    }

    /// A number in network order, as nf_tables has all of them.
    pub(super) fn u32(self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.get(kind)?.try_into().ok()?))
    }

    pub(super) fn u64(self, kind: u16) -> Option<u64> {
        Some(u64::from_be_bytes(self.get(kind)?.try_into().ok()?))
    }

    /// A string up to its zero; `None` if it is absent or no UTF-8.
    pub(super) fn text(self, kind: u16) -> Option<&'a str> {
        let bytes = self.get(kind)?;
        std::str::from_utf8(bytes.split(|&b| b == 0).next()?).ok()
    }

    /// A nested attribute; empty if it is absent.
    pub(super) fn nested(self, kind: u16) -> Result<Self, Malformed> {
        Self::new(self.get(kind).unwrap_or_default())
    }
}

/// What the kernel says of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Acknowledgement {
    /// Which request.
    pub(super) sequence: u32,
    /// Zero = done.
    pub(super) errno: i32,
    /// The kernel's own words, if it has any.
    pub(super) message: Option<String>,
    /// Where in the request the offending attribute begins, from its header on.
    pub(super) offset: Option<usize>,
}

impl Acknowledgement {
    /// From a message of kind `NLMSG_ERROR`.
    pub(super) fn read(message: &Message<'_>) -> Result<Self, Malformed> {
        const SHORT: Malformed = Malformed("an acknowledgement that is too short");
        let errno = u32_at(message.payload, 0).ok_or(SHORT)?.cast_signed();
        let request = message.payload.get(4..).ok_or(SHORT)?;
        let len = u32_at(request, 0).ok_or(SHORT)? as usize;
        let sequence = u32_at(request, 8).ok_or(SHORT)?;
        let quoted =
            if message.flags & NLM_F_CAPPED == 0 && errno != 0 { len.next_multiple_of(4) } else { HEADER };
        let attributes = if message.flags & NLM_F_ACK_TLVS == 0 {
            Attributes::default()
        } else {
            Attributes::new(request.get(quoted..).unwrap_or_default())?
        };
        let offset = attributes.get(NLMSGERR_ATTR_OFFS).and_then(|bytes| u32_at(bytes, 0));
        Ok(Self {
            sequence,
            errno: errno.saturating_neg(),
            message: attributes.text(NLMSGERR_ATTR_MSG).map(Into::into),
            offset: offset.map(|o| o as usize),
        })
    }
}

/// A request as bytes, for the messages that libnftnl has no words for: questions, the ends of a batch, conntrack's.
#[derive(Debug)]
pub(super) struct Request(Vec<u8>);

impl Request {
    /// A netfilter message without attributes.
    pub(super) fn new(kind: u16, flags: u16, sequence: u32, family: u8) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        // struct nfgenmsg: family, version 0, and for the ends of a batch the subsystem, in network order.
        let resource = if kind >> 8 == 0 && kind >= NFNL_MSG_BATCH_BEGIN {
            super::uapi::NFNL_SUBSYS_NFTABLES
        } else {
            0
        };
        bytes.extend([family, 0]);
        bytes.extend(resource.to_be_bytes());
        Self(bytes)
    }

    /// With one more attribute. Values are short: names, numbers, a tuple.
    pub(super) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        let len = u16::try_from(ATTRIBUTE + value.len()).unwrap_or(u16::MAX);
        self.0.extend(len.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(&value[..usize::from(len) - ATTRIBUTE]);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// With a string and its zero.
    pub(super) fn with_text(self, kind: u16, text: &str) -> Self {
        let mut bytes = Vec::from(text);
        bytes.push(0);
        self.with(kind, &bytes)
    }

    /// The whole message.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let len = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&len.to_ne_bytes());
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// A refusal as the kernel sends it with `NETLINK_CAP_ACK` and `NETLINK_EXT_ACK`.
    fn refusal(errno: i32, quoted: &[u8], flags: u16, words: &str) -> Vec<u8> {
        let mut payload = errno.to_ne_bytes().to_vec();
        payload.extend(quoted);
        let attributes = Request(Vec::new())
            .with_text(NLMSGERR_ATTR_MSG, words)
            .with(NLMSGERR_ATTR_OFFS, &20u32.to_ne_bytes());
        payload.extend(attributes.0);
        let mut bytes = Vec::new();
        bytes.extend(u32::try_from(HEADER + payload.len()).unwrap().to_ne_bytes());
        bytes.extend([2u16, flags].map(u16::to_ne_bytes).concat());
        bytes.extend([7u32, 9].map(u32::to_ne_bytes).concat());
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn a_refusal_is_read_with_its_words_and_its_place() {
        let request = Request::new(0xa00, 1, 42, 1).with_text(1, "palisade").finish();
        for (quoted, flags) in
            [(&request[..HEADER], NLM_F_ACK_TLVS | NLM_F_CAPPED), (&request, NLM_F_ACK_TLVS)]
        {
            let bytes = refusal(-17, quoted, flags, "no");
            let message = Messages(&bytes).next().unwrap().unwrap();
            let want =
                Acknowledgement { sequence: 42, errno: 17, message: Some("no".into()), offset: Some(20) };
            assert_eq!(Acknowledgement::read(&message), Ok(want));
        }
    }

    #[test]
    fn attributes_are_read_as_they_were_written() {
        let request = Request::new(0xa00, 5, 1, 7).with_text(1, "abc").with(0x8002, &[0, 0, 1, 0]).finish();
        let message = Messages(&request).next().unwrap().unwrap();
        assert_eq!((message.kind, message.flags, message.sequence, message.family()), (0xa00, 5, 1, 7));
        let attributes = message.attributes().unwrap();
        assert_eq!(
            (attributes.text(1), attributes.u32(2), attributes.u64(2)),
            (Some("abc"), Some(256), None)
        );
        assert_eq!(attributes.iter().count(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_make_it_panic(mut bytes in vec(any::<u8>(), 0..200), len in 0u8..220) {
            if let Some(first) = bytes.get_mut(..4) {
                first.copy_from_slice(&u32::from(len).to_ne_bytes());
            }
            for message in Messages(&bytes).flatten() {
                Acknowledgement::read(&message).ok();
                let Ok(attributes) = message.attributes() else { continue };
                for (kind, _) in attributes.iter() {
                    attributes.nested(kind).ok();
                    attributes.text(kind);
                }
            }
        }
    }
}
