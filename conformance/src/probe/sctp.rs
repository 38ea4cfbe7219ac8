//! The first two messages of an SCTP association, as bytes (RFC 9260 sections 3.1 to 3.3).

/// The protocol number in an IP header.
pub(crate) const PROTOCOL: i32 = 132;

const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const ABORT: u8 = 6;
const STATE_COOKIE: u16 = 7;

/// A message, as far as the prober needs to read one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) verification_tag: u32,
    pub(crate) chunk: Chunk<'a>,
}

/// The first chunk of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunk<'a> {
    /// With the tag that answers must carry.
    Init {
        tag: u32,
    },
    /// With the server's state cookie.
    InitAck {
        cookie: &'a [u8],
    },
    Abort,
    Other,
}

/// An INIT from a client that chose `tag`.
pub(crate) fn init(source_port: u16, destination_port: u16, tag: u32) -> Vec<u8> {
    message(source_port, destination_port, 0, INIT, &handshake(tag))
}

/// The answer to an INIT that carried `tag`. The cookie carries the server's words.
pub(crate) fn init_ack(source_port: u16, destination_port: u16, tag: u32, cookie: &[u8]) -> Vec<u8> {
    // Any tag but 0 will do for the server's own; no third message is ever sent.
    let mut body = handshake(tag ^ 0x5555_5555 | 1);
    body.extend(STATE_COOKIE.to_be_bytes());
    body.extend((cookie.len() as u16 + 4).to_be_bytes());
    body.extend(cookie);
    message(source_port, destination_port, tag, INIT_ACK, &body)
}

/// The answer of a host without a listener.
pub(crate) fn abort(source_port: u16, destination_port: u16, tag: u32) -> Vec<u8> {
    message(source_port, destination_port, tag, ABORT, &[])
}

/// Reads a message; `None` if it is too short or its checksum is wrong.
pub(crate) fn parse(bytes: &[u8]) -> Option<Message<'_>> {
    let (header, rest) = bytes.split_first_chunk::<12>()?;
    let u16_at = |b: &[u8], i: usize| Some(u16::from_be_bytes([*b.get(i)?, *b.get(i + 1)?]));
    let u32_at = |b: &[u8], i: usize| Some(u32::from_be_bytes(b.get(i..i + 4)?.try_into().ok()?));
    if u32::from_le_bytes(header[8..].try_into().ok()?) != checksum(bytes) {
        return None;
    }
    let chunk = match *rest.first()? {
        INIT => Chunk::Init { tag: u32_at(rest, 4)? },
        INIT_ACK if u16_at(rest, 20)? == STATE_COOKIE => {
            Chunk::InitAck { cookie: rest.get(24..20 + usize::from(u16_at(rest, 22)?))? }
        }
        ABORT => Chunk::Abort,
        _ => Chunk::Other,
    };
    Some(Message {
        source_port: u16_at(header, 0)?,
        destination_port: u16_at(header, 2)?,
        verification_tag: u32_at(header, 4)?,
        chunk,
    })
}

/// The fixed part of INIT and INIT ACK: tag, window, streams, first TSN.
fn handshake(tag: u32) -> Vec<u8> {
    [&tag.to_be_bytes()[..], &65_536_u32.to_be_bytes(), &[0, 1, 0, 1], &tag.to_be_bytes()].concat()
}

/// A message of one chunk, padded and with its checksum.
pub(crate) fn message(source_port: u16, destination_port: u16, tag: u32, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut m = Vec::with_capacity(16 + body.len() + 3);
    m.extend(source_port.to_be_bytes());
    m.extend(destination_port.to_be_bytes());
    m.extend(tag.to_be_bytes());
    m.extend([0; 4]);
    m.extend([kind, 0]);
    m.extend((body.len() as u16 + 4).to_be_bytes());
    m.extend(body);
    m.resize(m.len().next_multiple_of(4), 0);
    let sum = checksum(&m);
    m[8..12].copy_from_slice(&sum.to_le_bytes());
    m
}

/// CRC32c over a message, with its checksum field taken as zero (RFC 9260 appendix A).
fn checksum(message: &[u8]) -> u32 {
    let bytes = message.iter().enumerate().map(|(i, &b)| if (8..12).contains(&i) { 0 } else { b });
    !bytes.fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0x82f6_3b78 } else { c >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_of_the_standard_check_string() {
        // The check value of CRC-32C; bytes 8 to 11 of a message count as zero, so the string is put around them.
        let message = b"\0\0\0\0\0\0\0\0\xff\xff\xff\xff";
        assert_eq!(checksum(message), checksum(&[0; 12]));
        // RFC 3720 B.4: 32 bytes of zeroes.
        assert_eq!(checksum(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn a_handshake_reads_back() {
        let init = init(40_000, 80, 7);
        let read = parse(&init).expect("an INIT");
        assert_eq!((read.source_port, read.destination_port, read.verification_tag), (40_000, 80, 0));
        assert_eq!(read.chunk, Chunk::Init { tag: 7 });
        let ack = init_ack(80, 40_000, 7, b"who");
        let read = parse(&ack).expect("an INIT ACK");
        assert_eq!((read.verification_tag, read.chunk), (7, Chunk::InitAck { cookie: b"who" }));
        assert_eq!(parse(&abort(80, 40_000, 7)).expect("an ABORT").chunk, Chunk::Abort);
    }

    #[test]
    fn a_changed_message_is_refused() {
        let mut init = init(1, 2, 3);
        init[0] ^= 1;
        assert_eq!(parse(&init), None);
    }
}
