//! The regular comparison of the kernel's tables with what they should hold, part by part. The [`Reader`](super::Reader) reads the parts;
//! the loop compares each when it comes, and commits between them as ever.
//!
//! A part that a commit of ours has touched since it was read, or while it was, is read again. So is one during which
//! somebody else has committed, whatever it was. What differs is read once more as a whole and repaired by
//! [`Engine::verify`](super::Engine::verify).

use crate::nft::{Error, Found, Part, Wanted};
use compiler::{
    delta::{Delta, Op},
    ir::{Family, Name, Ruleset, Set, Table},
};
use std::collections::HashSet;

/// So often one part is read again before it is read while nothing is committed.
const ATTEMPTS: u32 = 10;

/// What follows from a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This is to be read next.
    Read(Wanted),
    /// All parts are as they should be.
    Equal,
    /// The tables must be compared as a whole, while nothing is committed: they differ, or do not keep still.
    Whole,
}

/// One comparison under way.
#[derive(Debug)]
pub(super) struct Check {
    /// What is being read.
    asked: Wanted,
    commits: Vec<Own>,
    /// Still to be read.
    left: Vec<Wanted>,
    attempts: u32,
}

/// A commit of ours since the comparison began.
#[derive(Debug)]
struct Own {
    generation: u32,
    /// Sets of which elements have come or gone.
    elements: HashSet<(Family, Name)>,
    /// Anything else.
    frame: bool,
    /// A whole table.
    everything: bool,
}

impl Check {
    /// One that begins with the frame.
    pub(super) fn begin() -> Self {
        Self { asked: Wanted::Frame, commits: Vec::new(), left: Vec::new(), attempts: 0 }
    }

    /// What is to be read now.
    pub(super) fn asked(&self) -> &Wanted {
        &self.asked
    }

    /// A transaction of ours has been taken.
    pub(super) fn committed(&mut self, delta: &Delta, generation: u32) {
        let mut own = Own { generation, elements: HashSet::new(), frame: false, everything: false };
        for op in &delta.ops {
            match op {
                Op::AddElements { family, set, .. } | Op::DeleteElements { family, set, .. } => {
                    own.elements.insert((*family, set.clone()));
                }
                Op::AddSet { family, name, .. } | Op::DeleteSet { family, name } => {
                    own.elements.insert((*family, name.clone()));
                    own.frame = true;
                }
                Op::AddTable { .. } | Op::DeleteTable { .. } => own.everything = true,
                _ => own.frame = true,
            }
        }
        self.commits.push(own);
    }

    /// A part has been read; `want` is what the kernel should hold after the last commit.
    pub(super) fn take(&mut self, part: Result<Part, Error>, want: &Ruleset) -> Step {
        // An answer to what nobody asks any more says that reading takes minutes.
        let Some(part) = part.ok().filter(|part| part.wanted == self.asked) else { return Step::Whole };
        if !self.is_of_now(&part) {
            self.attempts += 1;
            return if self.attempts < ATTEMPTS { Step::Read(part.wanted) } else { Step::Whole };
        }
        self.attempts = 0;
        let is_equal = part.foreign.is_empty()
            && match (&part.found, &part.wanted) {
                (Found::Frame(ruleset), _) => frames_are_equal(ruleset, want),
                (Found::Elements(set), Wanted::Elements { family, set: name, .. }) => {
                    set.as_ref() == find(want, *family, name)
                }
                (Found::Elements(_), Wanted::Frame) => false,
            };
        if !is_equal {
            return Step::Whole;
        }
        if let Found::Frame(ruleset) = &part.found {
            self.left = sets(ruleset);
        }
        match self.left.pop() {
            Some(next) => {
                self.asked = next.clone();
                Step::Read(next)
            }
            None => Step::Equal,
        }
    }

    /// Whether the kernel has held this, and nothing else, since the last commit of ours.
    fn is_of_now(&self, part: &Part) -> bool {
        let touches = |own: &Own| {
            own.everything
                || match &part.wanted {
                    Wanted::Frame => own.frame,
                    Wanted::Elements { family, set, .. } => own.elements.contains(&(*family, set.clone())),
                }
        };
        // Generations count up, and begin again at their end.
        let since = |generation: u32| generation.wrapping_sub(part.from).cast_signed();
        let during = part.to.wrapping_sub(part.from);
        let own = self.commits.iter().filter(|own| since(own.generation) > 0);
        let own_during = own.clone().filter(|own| own.generation.wrapping_sub(part.from) <= during);
        own_during.count() == during as usize && !own.into_iter().any(touches)
    }
}

fn sets(ruleset: &Ruleset) -> Vec<Wanted> {
    let of_table = |(&family, table): (&Family, &Table)| {
        let wanted = move |(name, set): (&Name, &Set)| Wanted::Elements {
            family,
            set: name.clone(),
            spec: set.spec.clone(),
        };
        table.sets.iter().map(wanted).collect::<Vec<_>>()
    };
    ruleset.tables.iter().flat_map(of_table).collect()
}

fn find<'a>(ruleset: &'a Ruleset, family: Family, set: &Name) -> Option<&'a Set> {
    ruleset.tables.get(&family)?.sets.get(set)
}

/// Whether two rulesets are the same but for the elements of their sets.
fn frames_are_equal(one: &Ruleset, other: &Ruleset) -> bool {
    let specs = |table: &Table| -> Vec<_> {
        table.sets.iter().map(|(name, set)| (name.clone(), set.spec.clone())).collect()
    };
    one.tables.len() == other.tables.len()
        && one.tables.iter().all(|(family, table)| {
            other.tables.get(family).is_some_and(|other| {
                table.counters == other.counters
                    && table.chains == other.chains
                    && specs(table) == specs(other)
            })
        })
}
