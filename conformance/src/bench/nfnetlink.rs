//! Messages to netfilter, sent and acknowledged in microseconds (`include/uapi/linux/netfilter/nfnetlink.h`).

use crate::lab::{LabError, Netns};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

const NLMSG_ERROR: u16 = 2;
pub(super) const NLM_F_REQUEST: u16 = 1;
pub(super) const NLM_F_ACK: u16 = 4;

/// A socket to netfilter in one network namespace.
#[derive(Debug)]
pub(super) struct Nfnetlink {
    socket: OwnedFd,
    name: String,
}

impl Nfnetlink {
    /// `of` says what is asked through it, for errors.
    pub(super) fn open(netns: &Netns, of: &str) -> Result<Self, LabError> {
        let protocol = SockProtocol::NetlinkNetFilter;
        let open = || socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol);
        let name = format!("{of} in {}", netns.name());
        let socket = netns.enter(open)?.map_err(LabError::io(name.clone()))?;
        Ok(Self { socket, name })
    }

    /// Sends messages, and waits for as many acknowledgements.
    pub(super) fn send(&self, messages: &[u8], acknowledged: usize) -> Result<(), LabError> {
        let socket = self.socket.as_raw_fd();
        send(socket, messages, MsgFlags::empty()).map_err(LabError::io(self.name.clone()))?;
        let mut answered = 0;
        while answered < acknowledged {
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

/// A netlink message with netfilter's own header after the general one.
pub(super) fn message(kind: u16, flags: u16, family: u8, resource: u16, attributes: &[u8]) -> Vec<u8> {
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

pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
