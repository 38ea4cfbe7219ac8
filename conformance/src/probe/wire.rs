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
