//! What the prober and its servers say to each other.

use super::Answer;
use crate::lab::Place;
use std::net::IpAddr;

/// The bytes by which a datagram finds its probe again.
pub(crate) const TOKEN: usize = 8;

/// A server's answer: `<place> <client's address>` and a line end.
pub(crate) fn answer(by: &Place, client: IpAddr) -> String {
    format!("{by} {}\n", client.to_canonical())
}

/// Reads [`answer`]; `None` until the line is complete, or if it is none.
pub(crate) fn read_answer(bytes: &[u8]) -> Option<Answer> {
    let line = std::str::from_utf8(bytes).ok()?.split_once('\n')?.0;
    let (by, client) = line.split_once(' ')?;
    Some(Answer { by: by.parse().ok()?, client: client.parse().ok()? })
}

/// Begins the request that makes a connection a [`Stream`](super::Stream).
const STREAM: &[u8] = b"palisade stream ";
/// Begins a datagram of a [`UdpFlow`](super::UdpFlow).
const FLOW: &[u8] = b"palisade flow ";
/// The number of the datagrams that only open a flow.
pub(crate) const KNOCK: u64 = u64::MAX;

/// Asks a server to hand its end of this connection over as stream `id`.
pub(crate) fn stream_request(id: u64) -> Vec<u8> {
    [STREAM, &id.to_be_bytes()].concat()
}

/// Reads [`stream_request`].
pub(crate) fn read_stream_request(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.strip_prefix(STREAM)?.try_into().ok()?))
}

/// Datagram `number` of flow `id`.
pub(crate) fn flow_datagram(id: u64, number: u64) -> Vec<u8> {
    [FLOW, &id.to_be_bytes(), &number.to_be_bytes()].concat()
}

/// Reads [`flow_datagram`]: the flow and the number.
pub(crate) fn read_flow_datagram(bytes: &[u8]) -> Option<(u64, u64)> {
    let (id, number) = bytes.strip_prefix(FLOW)?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*id), u64::from_be_bytes(number.try_into().ok()?)))
}
