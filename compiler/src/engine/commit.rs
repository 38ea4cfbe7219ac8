//! The order in which marked things are derived: what marks others comes first.

use super::{Compiler, Pace, Retired};
use crate::{
    program::{FAMILY, shared_set},
    skeleton::{self, AddressFamily},
};

/// Sets that are full become so many times as large.
const MORE: u32 = 4;

impl Compiler {
    pub(super) fn derive(&mut self, pace: Pace) {
        let idle = std::mem::take(&mut self.idle);
        let retired = std::mem::take(&mut self.retired);
        self.derive_locals(pace);
        self.derive_addresses();
        self.remove_idle(idle.clone());
        // Still without use, but released once more meanwhile: the next commit looks again.
        self.idle.retain(|id| self.programs.get(*id as usize).is_some_and(|program| program.uses == 0));
        self.remove_unused_selectors();
        self.derive_peers();
        self.mark_contested();
        self.derive_programs();
        self.remove_retired(retired);
        self.derive_guard();
        self.derive_nodes();
        self.make_room();
        for (namespace, name) in std::mem::take(&mut self.gone) {
            self.interner.release(namespace);
            self.interner.release(name);
        }
    }

    /// Makes the sets of local pods larger once they are full: the tables are made anew, in one transaction. They never become
    /// smaller, so that pods that come and go do not cost that again and again.
    fn make_room(&mut self) {
        // The fixed part has all sets that have a size; of others there may be thousands, which no commit shall walk.
        let held = &self.desired.ruleset().tables;
        let sized = self.skeleton.tables.iter().flat_map(|(family, table)| {
            let sized = table.sets.iter().filter(|(_, set)| set.spec.size.is_some());
            sized.filter_map(move |(name, _)| held.get(family)?.sets.get(name))
        });
        let needed = sized.map(|set| set.elements.len()).max().unwrap_or_default();
        let mut room = self.config.room;
        while needed > room as usize {
            room = room.saturating_mul(MORE);
        }
        if room > self.config.room {
            self.config.room = room;
            self.skeleton = skeleton::ruleset(&self.config);
            self.desired.resize(room);
        }
    }

    /// A program that is resolved whole depends on too much to be marked piece by piece; there are hardly ever any.
    fn mark_contested(&mut self) {
        if self.contested.is_empty() {
            return;
        }
        let resolved = self.programs.iter().filter(|(_, program)| program.key.steps().is_none());
        self.dirty.programs.extend(resolved.map(|(id, _)| id as u32));
    }

    /// Removes what lost its last reference in the commit before, unless it has got a new one.
    fn remove_retired(&mut self, retired: Vec<Retired>) {
        for object in retired {
            match object {
                Retired::Chain(id, name) => {
                    if self.programs.get(id as usize).is_none_or(|p| !p.chains.contains(&name)) {
                        self.desired.remove_chain(FAMILY, &name);
                    }
                }
                Retired::Set(id, name) => {
                    if self.programs.get(id as usize).is_none_or(|p| !p.sets.contains(&name)) {
                        self.desired.remove_set(FAMILY, &name);
                    }
                }
                Retired::Shared(key) => {
                    let in_use = self.selectors.find(&key).and_then(|id| self.selectors.get(id));
                    if in_use.is_none_or(|entry| entry.shared.is_none()) {
                        for family in AddressFamily::BOTH {
                            self.desired.remove_set(FAMILY, &shared_set(&key, family).0);
                        }
                    }
                }
            }
        }
    }
}
