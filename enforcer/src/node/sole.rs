//! One `policyd` a network namespace: two would undo each other's changes without end.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
};

/// Abstract names of Unix sockets belong to a network namespace, as nftables' tables do (`unix_find_socket_byname`), and are free
/// again once their process has ended, however it has.
const NAME: &[u8] = b"palisade/policyd";

/// While it lives, no other `policyd` changes the tables of this network namespace.
#[derive(Debug)]
pub struct Sole {
    _socket: UnixDatagram,
}

impl Sole {
    /// `None`: another one has claimed it.
    ///
    /// # Errors
    /// What the system says.
    pub fn claim() -> io::Result<Option<Self>> {
        match UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(NAME)?) {
            Ok(socket) => Ok(Some(Self { _socket: socket })),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => Ok(None),
            Err(e) => Err(e),
        }
    }
}
