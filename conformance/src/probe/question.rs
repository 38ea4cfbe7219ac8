//! What is asked of the network, and what it says.

use crate::lab::Place;
use std::{fmt, net::IpAddr};

/// How a probe knocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// A connection, and the server's greeting on it.
    Tcp,
    /// A datagram, and the server's answer to it.
    Udp,
    /// An INIT chunk, and the INIT ACK to it.
    Sctp,
    /// An echo request, and the kernel's reply to it. It has no port.
    Icmp,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tcp, Self::Udp, Self::Sctp, Self::Icmp];
}

/// As the API writes it: `TCP`, `UDP`, `SCTP`, and `ICMP`.
impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
            Self::Icmp => "ICMP",
        })
    }
}

/// One question to the network: does this get through, and is it answered?
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Probe {
    /// Who sends.
    pub from: Place,
    /// To which address. A link-local one is reached through the sender's `eth0`, on a node through `cni0`.
    pub to: IpAddr,
    /// To which port; 0 for ICMP.
    pub port: u16,
    /// How.
    pub transport: Transport,
    /// From which of the sender's addresses; `None` leaves the choice to its routes.
    pub source: Option<IpAddr>,
    /// From which port; 0 for any free one. Not for ICMP.
    pub source_port: u16,
}

impl Probe {
    /// A TCP connection.
    pub fn tcp(from: impl Into<Place>, to: impl Into<IpAddr>, port: u16) -> Self {
        Self::new(Transport::Tcp, from, to, port)
    }

    /// A UDP datagram.
    pub fn udp(from: impl Into<Place>, to: impl Into<IpAddr>, port: u16) -> Self {
        Self::new(Transport::Udp, from, to, port)
    }

    /// An SCTP INIT.
    pub fn sctp(from: impl Into<Place>, to: impl Into<IpAddr>, port: u16) -> Self {
        Self::new(Transport::Sctp, from, to, port)
    }

    /// An ICMP or ICMPv6 echo request.
    pub fn icmp(from: impl Into<Place>, to: impl Into<IpAddr>) -> Self {
        Self::new(Transport::Icmp, from, to, 0)
    }

    /// Any of these.
    pub fn new(transport: Transport, from: impl Into<Place>, to: impl Into<IpAddr>, port: u16) -> Self {
        Self { from: from.into(), to: to.into(), port, transport, source: None, source_port: 0 }
    }

    /// Sent from this address, which must be the sender's.
    #[must_use]
    pub fn from_address(mut self, source: impl Into<IpAddr>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Sent from this port.
    #[must_use]
    pub fn from_port(mut self, port: u16) -> Self {
        self.source_port = port;
        self
    }
}

/// `default/a -> 10.244.1.3:80/TCP`
impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, port, transport, .. } = self;
        match (transport, to) {
            (Transport::Icmp, _) => write!(f, "{from} -> {to} ICMP"),
            (_, IpAddr::V4(_)) => write!(f, "{from} -> {to}:{port}/{transport}"),
            (_, IpAddr::V6(_)) => write!(f, "{from} -> [{to}]:{port}/{transport}"),
        }
    }
}

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It got there and the answer came back.
    Allowed,
    /// Nothing came back within the time-out, or the sender's own firewall ate it (EPERM).
    Dropped,
    /// Someone said no: a TCP reset, an SCTP ABORT, an ICMP port or protocol unreachable.
    Refused,
    /// No way there: no route, or a router said host or network unreachable.
    NoRoute,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "allowed",
            Self::Dropped => "dropped",
            Self::Refused => "refused",
            Self::NoRoute => "no route",
        })
    }
}

/// What the server said. Not for ICMP, which a kernel answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who answered.
    pub by: Place,
    /// The client's address as the server saw it, after all NAT.
    pub client: IpAddr,
}

/// The outcome of one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What became of it.
    pub outcome: Outcome,
    /// What the server said, if it was allowed.
    pub answer: Option<Answer>,
}

impl Reply {
    pub(crate) const fn bare(outcome: Outcome) -> Self {
        Self { outcome, answer: None }
    }

    /// Whether this place answered.
    #[must_use]
    pub fn is_from(&self, place: impl Into<Place>) -> bool {
        self.answer.as_ref().is_some_and(|a| a.by == place.into())
    }

    /// The client's address as the server saw it.
    #[must_use]
    pub fn client(&self) -> Option<IpAddr> {
        self.answer.as_ref().map(|a| a.client)
    }
}
