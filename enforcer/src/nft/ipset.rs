//! Sets of `ipset`, by name: listed and destroyed. Rules of iptables look into them.

use super::{
    error::Error,
    socket::Socket,
    uapi::*,
    wire::{Acknowledgement, Messages, Request},
};
use nix::errno::Errno;
use std::time::{Duration, Instant};

/// The oldest version of the protocol that kernels speak (`IPSET_PROTOCOL_MIN`).
const PROTOCOL: u8 = 6;
/// A set is in use for a moment after the rule that used it has gone: the kernel frees rules in its own time.
const PATIENCE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(20);

/// Names of all sets that begin so.
///
/// # Errors
/// `CAP_NET_ADMIN` is missing. A kernel without ipset has no set.
pub fn sets(beginnings: &[&str]) -> Result<Vec<String>, Error> {
    let mut socket = Socket::open()?;
    let sequence = socket.take_sequence(1);
    let request = Request::new(IPSET_CMD_LIST, NLM_F_REQUEST | NLM_F_DUMP, sequence, NFPROTO_UNSPEC)
        .with(IPSET_ATTR_PROTOCOL, &[PROTOCOL])
        .with(IPSET_ATTR_FLAGS | NET_BYTEORDER, &IPSET_FLAG_LIST_SETNAME.to_be_bytes())
        .finish();
    let mut bytes = Vec::new();
    match socket.dump(&request, sequence, &mut bytes) {
        // The subsystem is not there.
        Err(Error::Unsupported(_)) => return Ok(Vec::new()),
        result => result?,
    };
    let mut names = Vec::new();
    for message in Messages(&bytes) {
        let attributes = message?.attributes()?;
        let name = attributes.text(IPSET_ATTR_SETNAME).unwrap_or_default();
        if beginnings.iter().any(|beginning| name.starts_with(beginning)) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Destroys a set; `false` if some rule looks into it still.
///
/// # Errors
/// `CAP_NET_ADMIN` is missing, or the kernel has another reason. One that has gone already is no error.
pub fn destroy(name: &str) -> Result<bool, Error> {
    let mut socket = Socket::open()?;
    let end = Instant::now() + PATIENCE;
    loop {
        match destroy_once(&mut socket, name)? {
            IPSET_ERR_BUSY if Instant::now() < end => std::thread::sleep(POLL),
            IPSET_ERR_BUSY => return Ok(false),
            _ => return Ok(true),
        }
    }
}

/// Gives 0 or [`IPSET_ERR_BUSY`].
fn destroy_once(socket: &mut Socket, name: &str) -> Result<i32, Error> {
    let sequence = socket.take_sequence(1);
    let request = Request::new(IPSET_CMD_DESTROY, NLM_F_REQUEST | NLM_F_ACK, sequence, NFPROTO_UNSPEC)
        .with(IPSET_ATTR_PROTOCOL, &[PROTOCOL])
        .with_text(IPSET_ATTR_SETNAME, name);
    socket.send(&request.finish())?;
    let (deadline, mut buffer) = (Socket::deadline(), Vec::new());
    loop {
        let len = socket.receive(&mut buffer, deadline)?;
        for message in Messages(&buffer[..len]) {
            let message = message?;
            if message.kind != NLMSG_ERROR || message.sequence != sequence {
                continue;
            }
            return match Acknowledgement::read(&message)?.errno {
                number @ (0 | IPSET_ERR_BUSY) => Ok(number),
                number => match Errno::from_raw(number) {
                    Errno::ENOENT => Ok(0),
                    errno => Err(Error::system("destroy an ipset")(errno)),
                },
            };
        }
    }
}
