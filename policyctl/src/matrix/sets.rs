//! Sets of ports by number: each set once, and each operation on two of them once.

use policy_model::portset::PortSet;
use std::collections::HashMap;

/// A set's number. Equal sets have equal numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SetId(u32);

/// All sets that have been met.
#[derive(Debug)]
pub(super) struct Sets {
    sets: Vec<PortSet>,
    ids: HashMap<PortSet, SetId>,
    unions: HashMap<(SetId, SetId), SetId>,
    intersections: HashMap<(SetId, SetId), SetId>,
}

impl Sets {
    pub(super) const NONE: SetId = SetId(0);
    pub(super) const ALL: SetId = SetId(1);

    pub(super) fn new() -> Self {
        let (unions, intersections) = (HashMap::new(), HashMap::new());
        let mut sets = Self { sets: Vec::new(), ids: HashMap::new(), unions, intersections };
        sets.intern(PortSet::none());
        sets.intern(PortSet::all());
        sets
    }

    pub(super) fn intern(&mut self, set: PortSet) -> SetId {
        if let Some(id) = self.ids.get(&set) {
            return *id;
        }
        let id = SetId(self.sets.len() as u32);
        self.sets.push(set.clone());
        self.ids.insert(set, id);
        id
    }

    pub(super) fn get(&self, id: SetId) -> &PortSet {
        &self.sets[id.0 as usize]
    }

    pub(super) fn union(&mut self, a: SetId, b: SetId) -> SetId {
        match (a, b) {
            _ if a == b => a,
            (Self::NONE, other) | (other, Self::NONE) => other,
            (Self::ALL, _) | (_, Self::ALL) => Self::ALL,
            _ => {
                let pair = (a.min(b), a.max(b));
                if let Some(known) = self.unions.get(&pair) {
                    return *known;
                }
                let id = self.intern(self.get(a).union(self.get(b)));
                self.unions.insert(pair, id);
                id
            }
        }
    }

    pub(super) fn intersection(&mut self, a: SetId, b: SetId) -> SetId {
        match (a, b) {
            _ if a == b => a,
            (Self::ALL, other) | (other, Self::ALL) => other,
            (Self::NONE, _) | (_, Self::NONE) => Self::NONE,
            _ => {
                let pair = (a.min(b), a.max(b));
                if let Some(known) = self.intersections.get(&pair) {
                    return *known;
                }
                let id = self.intern(self.get(a).intersection(self.get(b)));
                self.intersections.insert(pair, id);
                id
            }
        }
    }
}
