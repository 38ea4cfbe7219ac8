//! Real packets through a lab, and what became of them.
//!
//! Each host of a lab runs servers on TCP, UDP and SCTP ports. Each answers with its own name and with
//! the client's address as it saw it, so that a reply tells who was reached and what NAT did on the way. [`Lab::probe_all`]
//! sends many [`Probe`]s at once.
//!
//! The kernel of a test machine may have no SCTP sockets, so both ends speak its first two messages over raw sockets.
//!
//! [`Lab::probe_all`]: crate::lab::Lab::probe_all

mod batch;
pub mod craft;
mod datagram;
mod frames;
mod neighbours;
mod question;
mod responder;
mod sctp;
mod stream;
mod traffic;
mod udp_flow;
mod wire;

pub use batch::TIMEOUT;
pub(crate) use batch::run;
pub(crate) use datagram::prepare;
pub use frames::{Capture, Delivery, Injector, WAIT, contains};
pub use question::{Answer, Outcome, Probe, Reply, Transport};
pub(crate) use responder::Responder;
pub use stream::Stream;
pub(crate) use traffic::Arrivals;
pub use traffic::Side;
pub use udp_flow::{Count, UdpFlow};
