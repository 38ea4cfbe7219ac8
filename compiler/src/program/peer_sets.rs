//! The sets in which a program's peers stand. Every peer that comes or goes asks for them, so they are named once.

use crate::{
    ir::{DataType, Name, SetSpec},
    skeleton::{AddressFamily, Orientation},
};

/// Those of one family. They are in the kernel only while they have elements.
#[derive(Debug)]
pub(crate) struct PeerSets {
    /// Elements (address, protocol, port).
    pub(crate) exact: (Name, SetSpec),
    /// Addresses that are allowed everything.
    pub(crate) everything: (Name, SetSpec),
    /// By orientation: addresses with the profile chain that they are sent to.
    pub(crate) profiles: [(Name, SetSpec); 2],
}

impl PeerSets {
    /// Of the program of this name.
    pub(crate) fn new(program: &str, family: AddressFamily) -> Self {
        let (digit, address) = (family.digit(), family.data_type());
        let exact = [address, DataType::InetProto, DataType::InetService];
        let profiles = Orientation::BOTH.map(|orientation| {
            let name = format!("{program}-m{digit}-{}", orientation.letter());
            (name.into(), SetSpec::plain(&[address]).with_verdicts())
        });
        Self {
            exact: (format!("{program}-x{digit}").into(), SetSpec::plain(&exact)),
            everything: (format!("{program}-p{digit}").into(), SetSpec::plain(&[address])),
            profiles,
        }
    }

    /// The names of all of them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> {
        [&self.exact, &self.everything].into_iter().chain(&self.profiles).map(|(name, _)| name)
    }
}
