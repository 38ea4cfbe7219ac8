//! Reading our tables part by part, while somebody else commits to them: what the regular comparison reads, in a thread and on
//! a socket of its own, so that no commit waits for it.
//!
//! Unlike a [`Dump`](super::Dump) the parts are of different generations. Each says of which, so that whoever knows what
//! was committed meanwhile can tell whether it was read whole.

use super::{
    backend::Foreign,
    decode::{parse, parse_elements},
    error::Error,
    kernel::Kernel,
    socket::Dumped,
    uapi::*,
};
use compiler::ir::{Family, Name, Ruleset, Set, SetSpec};

/// What is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Both tables without the elements of their sets.
    Frame,
    /// The elements of one set.
    Elements {
        /// Its table.
        family: Family,
        /// Its name.
        set: Name,
        /// What it is, as the frame says.
        spec: SetSpec,
    },
}

/// What was there.
#[derive(Debug)]
pub enum Found {
    /// Both tables; all their sets are empty here.
    Frame(Ruleset),
    /// A set with its elements; `None`: there is no such set.
    Elements(Option<Set>),
}

/// One reading.
#[derive(Debug)]
pub struct Part {
    /// What was asked for.
    pub wanted: Wanted,
    /// The generation before it was read.
    pub from: u32,
    /// The generation afterwards. It is of that one, unless a commit between both has touched it.
    pub to: u32,
    /// What there was.
    pub found: Found,
    /// What the IR has no words for.
    pub foreign: Vec<Foreign>,
}

impl Kernel {
    /// Reads one part as it is now.
    ///
    /// # Errors
    /// As [`Backend::dump`](super::Backend::dump); commits of others are none.
    pub fn read_part(&mut self, wanted: Wanted) -> Result<Part, Error> {
        let from = self.generation()?;
        let (found, foreign) = match &wanted {
            Wanted::Frame => self.read_frame()?,
            Wanted::Elements { family, set, spec } => self.read_elements(*family, set, spec)?,
        };
        Ok(Part { wanted, from, to: self.generation()?, found, foreign })
    }

    fn read_frame(&mut self) -> Result<(Found, Vec<Foreign>), Error> {
        const KINDS: [u16; 6] = [
            message::GETTABLE,
            message::GETOBJ,
            message::GETFLOWTABLE,
            message::GETSET,
            message::GETCHAIN,
            message::GETRULE,
        ];
        let mut bytes = Vec::new();
        for family in Family::BOTH {
            for kind in KINDS {
                // If it is interrupted, the generations tell that something has changed.
                self.read(kind, family, None, &mut bytes)?;
            }
        }
        let dump = parse(&bytes)?;
        Ok((Found::Frame(dump.ruleset), dump.foreign))
    }

    fn read_elements(
        &mut self,
        family: Family,
        set: &Name,
        spec: &SetSpec,
    ) -> Result<(Found, Vec<Foreign>), Error> {
        let mut bytes = Vec::new();
        if self.read(message::GETSETELEM, family, Some(set), &mut bytes)? == Dumped::Absent {
            return Ok((Found::Elements(None), Vec::new()));
        }
        let (found, foreign) = parse_elements(family, set, spec, &bytes)?;
        Ok((Found::Elements(Some(found)), foreign))
    }
}
