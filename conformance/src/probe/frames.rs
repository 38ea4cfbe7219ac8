//! Frames as they are: put on a link, and looked for on another.

use crate::lab::{Lab, LabError, Netns, Place};
use nix::{
    ifaddrs::getifaddrs,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvfrom, send,
        setsockopt, socket, sockopt,
    },
};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::{Duration, Instant},
};

/// How long [`Lab::deliver`] waits for a frame to arrive.
pub const WAIT: Duration = Duration::from_millis(200);

/// `PACKET_OUTGOING` of packet(7): a frame that the host itself sends.
const OUTGOING: u8 = 4;

/// Frames that start at one place, and what to look for at another.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where they start.
    pub from: Place,
    /// The link they start on: `eth0` unless said otherwise.
    pub from_link: String,
    /// Whole Ethernet frames without checksum, sent in this order.
    pub frames: Vec<Vec<u8>>,
    /// Where to look.
    pub to: Place,
    /// The link to look at: `eth0` unless said otherwise.
    pub to_link: String,
    /// Bytes that are in no other frame of the lab.
    pub marker: Vec<u8>,
}

impl Delivery {
    /// From the `eth0` of one place to the `eth0` of another.
    pub fn new(from: impl Into<Place>, frames: Vec<Vec<u8>>, to: impl Into<Place>, marker: &[u8]) -> Self {
        Self {
            from: from.into(),
            from_link: "eth0".to_owned(),
            frames,
            to: to.into(),
            to_link: "eth0".to_owned(),
            marker: marker.to_vec(),
        }
    }
}

/// A running capture of one link. It holds what fits in 16 MiB until it is asked.
#[derive(Debug)]
pub struct Capture {
    socket: OwnedFd,
}

/// An open way onto a link.
#[derive(Debug)]
pub struct Injector {
    socket: OwnedFd,
    what: String,
}

impl Injector {
    /// Puts whole Ethernet frames on the link.
    ///
    /// # Errors
    /// [`LabError::Io`] for a frame that the link refuses.
    pub fn send(&self, frames: &[Vec<u8>]) -> Result<(), LabError> {
        frames.iter().try_for_each(|frame| {
            let sent = send(self.socket.as_raw_fd(), frame, MsgFlags::empty());
            sent.map(drop).map_err(LabError::io(format!("cannot send a frame on {}", self.what)))
        })
    }
}

impl Lab {
    /// Puts whole Ethernet frames on a link of a place (`eth0` of a pod, `cni0` of a node).
    ///
    /// # Errors
    /// [`LabError::Unknown`] for the place, [`LabError::Io`] for the link or a frame that it refuses.
    pub fn inject(&self, from: impl Into<Place>, link: &str, frames: &[Vec<u8>]) -> Result<(), LabError> {
        self.injector(from, link)?.send(frames)
    }

    /// A socket that puts frames on a link of a place, for those who send many: to close one takes the kernel some
    /// milliseconds.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for the place, [`LabError::Io`] for the link.
    pub fn injector(&self, from: impl Into<Place>, link: &str) -> Result<Injector, LabError> {
        let netns = self.netns(from)?;
        let what = format!("{link} of {}", netns.name());
        let socket = netns.enter(|| packet_socket(link, None))?;
        Ok(Injector { socket: socket.map_err(LabError::io(format!("cannot send on {what}")))?, what })
    }

    /// Starts to record the frames that a link of a place receives.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for the place, [`LabError::Io`] for the link.
    pub fn capture(&self, at: impl Into<Place>, link: &str) -> Result<Capture, LabError> {
        Capture::start(&self.netns(at)?, link)
    }

    /// Sends frames from the `eth0` of one place and counts how many with `marker` the `eth0` of another receives. Gives
    /// up after [`WAIT`].
    ///
    /// # Errors
    /// As [`Lab::deliver_all`].
    pub fn deliver(
        &self,
        from: impl Into<Place>,
        frames: Vec<Vec<u8>>,
        to: impl Into<Place>,
        marker: &[u8],
    ) -> Result<usize, LabError> {
        Ok(self.deliver_all(&[Delivery::new(from, frames, to, marker)], WAIT)?[0])
    }

    /// Sends all the frames and counts for each delivery how many arrived. Ends when each has seen one, or after `wait`.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a place, [`LabError::Io`] for a link.
    pub fn deliver_all(&self, deliveries: &[Delivery], wait: Duration) -> Result<Vec<usize>, LabError> {
        let mut captures: BTreeMap<(&Place, &str), Capture> = BTreeMap::new();
        for d in deliveries {
            if let Entry::Vacant(place) = captures.entry((&d.to, &*d.to_link)) {
                place.insert(self.capture(&d.to, &d.to_link)?);
            }
        }
        for d in deliveries {
            self.inject(&d.from, &d.from_link, &d.frames)?;
        }
        let deadline = Instant::now() + wait;
        let mut counts = vec![0; deliveries.len()];
        loop {
            for ((place, link), capture) in &captures {
                for frame in capture.take()? {
                    for (count, d) in counts.iter_mut().zip(deliveries) {
                        *count += usize::from(
                            d.to == **place && d.to_link == **link && contains(&frame, &d.marker),
                        );
                    }
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || counts.iter().all(|&c| c > 0) {
                return Ok(counts);
            }
            let mut waits: Vec<_> =
                captures.values().map(|c| PollFd::new(c.socket.as_fd(), PollFlags::POLLIN)).collect();
            // A poll that is interrupted is a short wait.
            poll(&mut waits, PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)).ok();
        }
    }
}

impl Capture {
    pub(crate) fn start(netns: &Netns, link: &str) -> Result<Self, LabError> {
        let socket = netns
            .enter(|| {
                let socket = packet_socket(link, Some(SockProtocol::EthAll))?;
                setsockopt(&socket, sockopt::RcvBufForce, &(16 << 20))?;
                Ok::<_, io::Error>(socket)
            })?
            .map_err(LabError::io(format!("cannot record {link} of {}", netns.name())))?;
        Ok(Self { socket })
    }

    /// The frames received since the last call, without those that the host itself sent.
    ///
    /// # Errors
    /// [`LabError::Io`] if the link is gone.
    pub fn take(&self) -> Result<Vec<Vec<u8>>, LabError> {
        let mut frames = Vec::new();
        let mut buffer = vec![0; 65_536];
        loop {
            match recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut buffer) {
                Ok((length, from)) => {
                    if from.is_none_or(|f| f.pkttype() != OUTGOING) {
                        frames.push(buffer[..length].to_vec());
                    }
                }
                Err(nix::Error::EAGAIN) => return Ok(frames),
                Err(nix::Error::EINTR) => {}
                Err(e) => return Err(LabError::io("cannot read a recorded link")(e)),
            }
        }
    }
}

/// Whether `frame` holds `marker`.
#[must_use]
pub fn contains(frame: &[u8], marker: &[u8]) -> bool {
    marker.is_empty() || frame.windows(marker.len()).any(|w| w == marker)
}

/// A packet socket on a link of the caller's namespace.
fn packet_socket(link: &str, protocol: Option<SockProtocol>) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Packet, SockType::Raw, flags, protocol)?;
    // The list of interfaces is the only safe way to a link-layer address with an interface in it.
    let address = getifaddrs()?
        .find(|i| i.interface_name == link && i.address.is_some_and(|a| a.as_link_addr().is_some()))
        .and_then(|i| i.address?.as_link_addr().copied())
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no link {link}")))?;
    bind(socket.as_raw_fd(), &address)?;
    Ok(socket)
}
