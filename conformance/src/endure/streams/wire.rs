//! What a datagram of a stream says.

/// Begins each.
const MARK: &[u8] = b"palisade endure ";

/// Datagram of a stream, sent at a tick.
pub(super) fn datagram(stream: usize, tick: u64) -> Vec<u8> {
    [MARK, &(stream as u64).to_be_bytes(), &tick.to_be_bytes()].concat()
}

/// Reads [`datagram`]: the stream and the tick.
pub(super) fn read(bytes: &[u8]) -> Option<(usize, u64)> {
    let (stream, tick) = bytes.strip_prefix(MARK)?.split_first_chunk::<8>()?;
    let stream = usize::try_from(u64::from_be_bytes(*stream)).ok()?;
    Some((stream, u64::from_be_bytes(tick.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_reads_back_and_a_strangers_does_not() {
        assert_eq!(read(&datagram(287, 1_000_000)), Some((287, 1_000_000)));
        assert_eq!(read(b"palisade endure 12345678"), None);
        assert_eq!(read(&[0; 32]), None);
    }
}
