//! Two states side by side, source by source, so that no list of all rows is needed of either.

use super::{End, Matrix, SetId, Sets};
use policy_model::{
    policy::Direction,
    portset::PortSet,
    reach::{AddressRange, Difference, Reach},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// A pair between which something else may pass: its ends, and what may in the first and in the second state.
pub(crate) type Changed = (End, End, PortSet, PortSet);

/// The rows of one state in a numbering that both have in common.
struct Placed<'m> {
    matrix: &'m Matrix,
    /// The common number of each row.
    common: Vec<usize>,
    /// The row of each common number.
    own: Vec<Option<usize>>,
}

impl<'m> Placed<'m> {
    fn new(matrix: &'m Matrix, numbers: &HashMap<&str, usize>) -> Self {
        let common: Vec<usize> = matrix.nodes.iter().map(|node| numbers[&*node.name]).collect();
        let mut own = vec![None; numbers.len()];
        common.iter().enumerate().for_each(|(row, number)| own[*number] = Some(row));
        Self { matrix, common, own }
    }

    /// What a source may send to every destination, by common numbers.
    fn row(&self, source: usize, into: &mut [SetId]) {
        into.fill(Sets::NONE);
        let Some(source) = self.own[source] else { return };
        for (begin, end, set) in self.matrix.inside.stretches(source) {
            for destination in (begin..end).filter(|to| self.matrix.shows([source, *to])) {
                into[self.common[destination]] = set;
            }
        }
    }

    fn outside(&self, number: usize, direction: Direction) -> Reach {
        let row = self.own[number].filter(|row| self.matrix.shows([*row]));
        row.map_or_else(Reach::none, |row| self.matrix.outside[direction as usize][row].clone())
    }
}

impl Matrix {
    /// Every pair between which something else may pass in another state, which names its rows in the same way. External ranges
    /// are as large as the same change holds.
    pub(crate) fn changes_to(&self, after: &Self) -> Vec<Changed> {
        let names: BTreeSet<&Arc<str>> =
            [self, after].iter().flat_map(|matrix| &matrix.nodes).map(|node| &node.name).collect();
        let names: Vec<&Arc<str>> = names.into_iter().collect();
        let numbers: HashMap<&str, usize> =
            names.iter().enumerate().map(|(number, name)| (&***name, number)).collect();
        let [before, after] = [self, after].map(|matrix| Placed::new(matrix, &numbers));

        let mut changed = Vec::new();
        let mut equal: HashMap<(SetId, SetId), bool> = HashMap::new();
        let mut rows = [vec![Sets::NONE; names.len()], vec![Sets::NONE; names.len()]];
        for (source, from) in names.iter().enumerate() {
            let [row, row_after] = &mut rows;
            before.row(source, row);
            after.row(source, row_after);
            for (destination, sets) in row.iter().copied().zip(row_after.iter().copied()).enumerate() {
                // Most pairs let nothing pass in either.
                if sets == (Sets::NONE, Sets::NONE) {
                    continue;
                }
                let [was, is] = [before.matrix.sets.get(sets.0), after.matrix.sets.get(sets.1)];
                if !*equal.entry(sets).or_insert_with(|| was == is) {
                    let [from, to] = [*from, names[destination]].map(|name| End::Inside(name.clone()));
                    changed.push((from, to, was.clone(), is.clone()));
                }
            }
            for direction in Direction::BOTH {
                let [was, is] = [&before, &after].map(|placed| placed.outside(source, direction));
                changed.extend(was.differences(&is).map(|Difference { lo, hi, this, other }| {
                    let (inside, outside) =
                        (End::Inside((*from).clone()), End::Outside(AddressRange { lo, hi }));
                    match direction {
                        Direction::Ingress => (outside, inside, this, other),
                        Direction::Egress => (inside, outside, this, other),
                    }
                }));
            }
        }
        changed.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        changed
    }
}
