//! Questions to the network, and what they should come to.

use super::super::case::{Fault, wrong};
use super::scene::Scene;
use crate::probe::{Outcome, Probe, Transport};

/// What becomes of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// It is answered.
    Open,
    /// It gets there, and its destination has nothing at that port and says so.
    Refused,
    /// It does not get there. Other engines than Palisade may say so.
    Shut,
    /// Somebody else than an engine keeps it from getting there.
    Nowhere,
}

impl Expected {
    fn is(self, outcome: Outcome) -> bool {
        match self {
            Self::Open => outcome == Outcome::Allowed,
            Self::Refused => outcome == Outcome::Refused,
            Self::Shut => matches!(outcome, Outcome::Dropped | Outcome::Refused),
            Self::Nowhere => outcome != Outcome::Allowed,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Open => "allowed",
            Self::Refused => "refused by the destination",
            Self::Shut => "denied",
            Self::Nowhere => "not answered",
        }
    }
}

/// A port with its protocol, or an echo request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind(Transport, u16);

pub(super) const fn tcp(port: u16) -> Kind {
    Kind(Transport::Tcp, port)
}

pub(super) const fn udp(port: u16) -> Kind {
    Kind(Transport::Udp, port)
}

pub(super) const ECHO: Kind = Kind(Transport::Icmp, 0);

/// One question.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) probe: Probe,
    /// From whom to whom, by names.
    pub(super) way: String,
    /// Without policies.
    pub(super) alone: Expected,
    /// Under the case's policies.
    pub(super) judged: Expected,
}

/// The questions of a case, one of each family for each that is added.
#[derive(Debug)]
pub(super) struct Cells<'a> {
    scene: &'a Scene,
    all: Vec<Cell>,
}

impl<'a> Cells<'a> {
    pub(super) fn of(scene: &'a Scene) -> Self {
        Self { scene, all: Vec::new() }
    }

    /// The policies permit it.
    pub(super) fn open(&mut self, from: &str, to: &str, kinds: &[Kind]) -> Result<&mut Self, Fault> {
        self.add(from, to, kinds, [Expected::Open, Expected::Open])
    }

    /// The policies do not permit it.
    pub(super) fn shut(&mut self, from: &str, to: &str, kinds: &[Kind]) -> Result<&mut Self, Fault> {
        self.add(from, to, kinds, [Expected::Open, Expected::Shut])
    }

    /// What it is without policies, and under them.
    pub(super) fn add(
        &mut self,
        from: &str,
        to: &str,
        kinds: &[Kind],
        [alone, judged]: [Expected; 2],
    ) -> Result<&mut Self, Fault> {
        let (place, sources) = self.scene.sender(from)?;
        for address in self.scene.addresses(to)? {
            for &Kind(transport, port) in kinds {
                let mut probe = Probe::new(transport, &place, *address, port);
                probe.source = sources.iter().find(|source| source.is_ipv4() == address.is_ipv4()).copied();
                let way = format!("{from} to {to}");
                self.all.push(Cell { probe, way, alone, judged });
            }
        }
        Ok(self)
    }

    /// Asks without the policies, under them, and after their deletion. Gives what was counted.
    pub(super) fn judge(&self, policies: &str) -> Result<String, Fault> {
        let shut = self.all.iter().filter(|cell| cell.judged == Expected::Shut).count();
        if shut == 0 {
            return wrong("nothing would be denied: the case proves nothing");
        }
        self.require("without a policy", |cell| cell.alone)?;
        self.scene.apply(policies)?;
        let under = self.require("under the policies", |cell| cell.judged);
        self.scene.clear()?;
        under?;
        self.require("once the policies are deleted", |cell| cell.alone)?;
        Ok(format!("{} probes, {shut} denied", self.all.len()))
    }

    /// Asks until all is as it should be, for as long as a policy may take to be in force, and then once more: from the first time on nothing
    /// may pass that should not. What is not answered then is asked again, as a busy machine may be late; lost packets are what the
    /// life cycle's cases count.
    pub(super) fn require(&self, when: &str, expected: impl Fn(&Cell) -> Expected) -> Result<(), Fault> {
        let mut found = Vec::new();
        let settled = self.scene.within_patience(&mut || {
            found = self.differences(&expected)?;
            Ok(found.is_empty())
        })?;
        if settled {
            self.scene.within_patience(&mut || {
                found = self.differences(&expected)?;
                Ok(found.is_empty() || found.iter().any(|difference| difference.passed))
            })?;
        }
        let text: String = found.into_iter().map(|difference| difference.text).collect();
        if text.is_empty() { Ok(()) } else { wrong(format!("{when}:{text}")) }
    }

    /// Asks once.
    fn differences(&self, expected: impl Fn(&Cell) -> Expected) -> Result<Vec<Difference>, Fault> {
        let probes: Vec<Probe> = self.all.iter().map(|cell| cell.probe.clone()).collect();
        let mut found = Vec::new();
        for (cell, reply) in self.all.iter().zip(self.scene.ask(&probes)?) {
            let (should, outcome) = (expected(cell), reply.outcome);
            if !should.is(outcome) {
                let (way, probe) = (&cell.way, &cell.probe);
                let text = format!("\n{way} ({probe}): {outcome}, expected {}", should.word());
                found.push(Difference { text, passed: outcome == Outcome::Allowed });
            }
        }
        Ok(found)
    }
}

/// A cell with another answer than it should have.
struct Difference {
    text: String,
    /// It passes, and should not.
    passed: bool,
}
