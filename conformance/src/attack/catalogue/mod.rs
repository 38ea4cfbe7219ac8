//! Every crafted packet, by kind, with what must become of it.
//!
//! `c` may not reach `b`, `a` may send to `b` and `d` on a few ports only, and nobody may be somebody else. The list grew
//! out of 98 attacks on an earlier design; the cases of multicast and broadcast, of untracked packets and of frames to
//! reserved groups were added to them.

mod addresses;
mod discovery;
mod fragments;
mod link_layer;
mod multicast;
mod overlay;
mod ports;
mod protocols;
mod spoofing;
#[cfg(test)]
mod tests;
mod untracked;

use super::{Cast, Host, Mac};
use crate::{
    lab::Place,
    probe::craft::{self, Tcp},
};
use compiler::config::Guards;

/// What must become of a packet while our tables are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nobody gets it.
    Dropped,
    /// It arrives.
    Passes,
    /// It arrives although nobody wants that: a documented limit, so that a reader notices the day it is gone.
    KnownToPass(&'static str),
}

/// What becomes of a packet without our tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// It arrives, so it is us who stop it.
    Arrives,
    /// The kernel itself drops it, for this reason. That it was sent is seen at the sender's port.
    Lost(&'static str),
}

/// Where a packet is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// On the `eth0` of a place.
    Link(Place),
    /// In a UDP socket of a place, on the port [`LISTEN`](super::LISTEN): behind every hook of its kernel.
    Socket(Place),
    /// In a raw ICMPv6 socket of a place, likewise.
    Icmpv6(Place),
}

impl From<&Host> for Arrival {
    fn from(host: &Host) -> Self {
        Self::Link(host.place.clone())
    }
}

/// Frames from one place, and what must become of them.
#[derive(Clone, Debug)]
pub struct Attack {
    /// What it does. No two have the same name.
    pub name: String,
    /// Who sends.
    pub from: Host,
    /// Whole frames, sent in this order on the sender's `eth0`.
    pub frames: Vec<Vec<u8>>,
    /// Where they would arrive.
    pub to: Arrival,
    /// The number that their [`marker`] carries.
    pub number: usize,
    /// With both of our tables.
    pub wanted: Wanted,
    /// Without them.
    pub baseline: Baseline,
    /// On nodes that do not know their pods' ports, so that they have no bridge table.
    pub unguarded: Wanted,
    /// The guard that alone stops it: with that one switched off it arrives.
    pub guard: Option<Guard>,
}

/// A guard, by the name of its switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are the fields of `Guards`")]
pub enum Guard {
    Overlay,
    Sources,
    Routers,
    Ethertypes,
}

impl Guard {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Overlay, Self::Sources, Self::Routers, Self::Ethertypes];

    /// The settings with this one off.
    #[must_use]
    pub const fn off(self) -> Guards {
        let all = Guards::ALL;
        match self {
            Self::Overlay => Guards { overlay: false, ..all },
            Self::Sources => Guards { sources: false, ..all },
            Self::Routers => Guards { routers: false, ..all },
            Self::Ethertypes => Guards { ethertypes: false, ..all },
        }
    }
}

/// Begins every marker; in no other packet of a lab.
const MARK: &[u8; 3] = b"ATK";

/// The six bytes by which a packet of an attack is known.
#[must_use]
pub fn marker(number: usize) -> Vec<u8> {
    [&MARK[..], format!("{number:03}").as_bytes()].concat()
}

/// The numbers of the markers in a packet.
pub fn marks(packet: &[u8]) -> impl Iterator<Item = usize> {
    let digits = packet.windows(6).filter_map(|w| w.strip_prefix(MARK));
    digits.filter_map(|d| std::str::from_utf8(d).ok()?.parse().ok())
}

/// The whole list.
#[must_use]
pub fn all(cast: &Cast) -> Vec<Attack> {
    let mut list = List { cast, attacks: Vec::new() };
    untracked::add(&mut list);
    fragments::add(&mut list);
    protocols::add(&mut list);
    ports::add(&mut list);
    multicast::add(&mut list);
    addresses::add(&mut list);
    link_layer::add(&mut list);
    spoofing::add(&mut list);
    overlay::add(&mut list);
    discovery::add(&mut list);
    list.attacks
}

/// Packets that conntrack is told not to track: only for a node with such a rule.
#[must_use]
pub fn without_conntrack(cast: &Cast) -> Vec<Attack> {
    let mut list = List { cast, attacks: Vec::new() };
    untracked::add_without_conntrack(&mut list);
    list.attacks
}

/// The list while it is written.
struct List<'a> {
    cast: &'a Cast,
    attacks: Vec<Attack>,
}

impl List<'_> {
    /// An attack whose frames carry the given marker.
    fn add(
        &mut self,
        name: &str,
        from: &Host,
        to: impl Into<Arrival>,
        wanted: Wanted,
        frames: impl FnOnce(&[u8]) -> Vec<Vec<u8>>,
    ) -> Last<'_> {
        let number = self.attacks.len();
        self.attacks.push(Attack {
            name: name.to_owned(),
            from: from.clone(),
            frames: frames(&marker(number)),
            to: to.into(),
            number,
            wanted,
            baseline: Baseline::Arrives,
            unguarded: wanted,
            guard: None,
        });
        Last(&mut self.attacks[number])
    }

    /// A packet that must not arrive.
    fn drop(
        &mut self,
        name: &str,
        from: &Host,
        to: impl Into<Arrival>,
        frame: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Last<'_> {
        self.add(name, from, to, Wanted::Dropped, |m| vec![frame(m)])
    }

    /// A packet that must arrive.
    fn pass(
        &mut self,
        name: &str,
        from: &Host,
        to: impl Into<Arrival>,
        frame: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Last<'_> {
        self.add(name, from, to, Wanted::Passes, |m| vec![frame(m)])
    }
}

/// The attack added last.
struct Last<'a>(&'a mut Attack);

impl Last<'_> {
    /// The kernel drops it by itself.
    fn lost(self, reason: &'static str) -> Self {
        self.0.baseline = Baseline::Lost(reason);
        self
    }

    /// Nothing but this guard stops it, by the bridge table.
    fn only_guard(self, guard: Guard) -> Self {
        self.0.unguarded = Wanted::Passes;
        self.stopped_by(guard)
    }

    /// Nothing but this guard stops it, in one of the tables or in both.
    fn stopped_by(self, guard: Guard) -> Self {
        self.0.guard = Some(guard);
        self
    }

    /// Without the bridge table nobody could tell the ports apart, so it is dropped.
    fn needs_guard(self) -> Self {
        self.0.unguarded = Wanted::Dropped;
        self
    }
}

/// An IPv4 packet in a frame from a host's own MAC.
fn frame4(from: &Host, to: Mac, packet: &[u8]) -> Vec<u8> {
    craft::ethernet(to, from.mac, craft::IPV4, packet)
}

/// An IPv6 packet in a frame from a host's own MAC.
fn frame6(from: &Host, to: Mac, packet: &[u8]) -> Vec<u8> {
    craft::ethernet(to, from.mac, craft::IPV6, packet)
}

/// A TCP header to port 80, with some numbers in it.
const fn to_80(source: u16, flags: u8) -> Tcp {
    Tcp { source, destination: 80, sequence: 5, acknowledgement: 9, flags }
}
