//! A Delta in steps, so that no packet meets half of it.
//!
//! The kernel takes a transaction at one instant, but a packet may be among the rules at that instant. It goes on by the rules
//! of before (`nft_do_chain` in `net/netfilter/nf_tables_core.c` looks once which generation it is), while each set that it
//! comes to is that of the moment of the look-up (`nft_genmask_cur`). So in one transaction it could be sent by a new
//! element into a new chain, which is still empty for it; and in an old chain it could find the elements of an old
//! verdict map gone. In steps a chain is whole before anything leads to it, and goes when nobody is in it any more.

use crate::{
    delta::{Delta, Op},
    ir::{Family, Name},
};
use std::collections::HashSet;

/// The steps of a [`Delta`], each a transaction; empty ones need not be sent. All of them together do what it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// Makes what nothing leads to yet.
    pub prepare: Delta,
    /// What changes verdicts, all at one instant.
    pub switch: Delta,
    /// Removes what nothing leads to any more. To be sent when packets that were under way at the switch are through.
    pub remove: Delta,
}

impl Delta {
    /// Takes it apart. What makes or removes a whole table is one step, since its hooks come and go with it.
    #[must_use]
    pub fn into_stages(self) -> Stages {
        let objects = Objects::of(&self);
        let mut stages = Stages::default();
        if objects.are_whole_tables || objects.come.is_empty() && objects.go.is_empty() {
            stages.switch = self;
            return stages;
        }
        // The order within a step is that of the whole.
        for op in self.ops {
            let stage = match objects.stage_of(&op) {
                Stage::Prepare => &mut stages.prepare,
                Stage::Switch => &mut stages.switch,
                Stage::Remove => &mut stages.remove,
            };
            stage.ops.push(op);
        }
        stages
    }
}

enum Stage {
    Prepare,
    Switch,
    Remove,
}

/// Sets and chains have names of their own.
type Object = (Family, Kind, Name);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Set,
    Chain,
}

/// The sets and chains that come and go.
#[derive(Default)]
struct Objects {
    come: HashSet<Object>,
    go: HashSet<Object>,
    are_whole_tables: bool,
}

impl Objects {
    fn of(delta: &Delta) -> Self {
        let mut objects = Self::default();
        for op in &delta.ops {
            match op {
                Op::AddTable { .. } | Op::DeleteTable { .. } => objects.are_whole_tables = true,
                Op::AddSet { family, name, .. } => {
                    _ = objects.come.insert((*family, Kind::Set, name.clone()))
                }
                Op::DeleteSet { family, name } => _ = objects.go.insert((*family, Kind::Set, name.clone())),
                // One with a hook leads to itself.
                Op::AddChain { base: Some(_), .. } => {}
                Op::AddChain { family, name, .. } => {
                    _ = objects.come.insert((*family, Kind::Chain, name.clone()))
                }
                Op::DeleteChain { family, name } => {
                    _ = objects.go.insert((*family, Kind::Chain, name.clone()))
                }
                _ => {}
            }
        }
        objects
    }

    fn stage_of(&self, op: &Op) -> Stage {
        let within = |family: Family, kind, name: &Name| {
            let object = (family, kind, name.clone());
            match (self.come.contains(&object), self.go.contains(&object)) {
                (true, _) => Stage::Prepare,
                (_, true) => Stage::Remove,
                _ => Stage::Switch,
            }
        };
        match op {
            Op::AddTable { .. } | Op::DeleteTable { .. } => Stage::Switch,
            Op::AddCounter { .. } => Stage::Prepare,
            Op::DeleteCounter { .. } => Stage::Remove,
            Op::AddSet { family, name, .. } | Op::DeleteSet { family, name } => {
                within(*family, Kind::Set, name)
            }
            Op::AddElements { family, set, .. } | Op::DeleteElements { family, set, .. } => {
                within(*family, Kind::Set, set)
            }
            Op::AddChain { family, name, .. } | Op::DeleteChain { family, name } => {
                within(*family, Kind::Chain, name)
            }
            Op::SetRules { family, chain, .. } => within(*family, Kind::Chain, chain),
        }
    }
}
