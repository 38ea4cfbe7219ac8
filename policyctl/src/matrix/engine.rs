//! What each class lets pass from and to every other one: computed once for all pods that the same policies select.

use super::{
    classes::{Class, Classes},
    compile::Compiler,
    ranges::Ranges,
    selection::Selection,
    sets::{SetId, Sets},
};
use policy_model::{cluster::Cluster, policy::Direction, reach::Reach};

/// Answers for pairs of classes, and for classes and the outside.
pub(super) struct Engine {
    pub(super) sets: Sets,
    classes: Vec<Class>,
    /// Of ingress and egress.
    sides: [Sides; 2],
}

/// One direction.
pub(super) struct Sides {
    /// What each group of kinds lets pass with every class, where [`Self::steps`] says.
    cells: Vec<SetId>,
    /// How far it is in [`Self::cells`] from one group to the next, and from one class at the other end to the next.
    steps: [usize; 2],
    /// What each group lets pass with addresses that are nobody's.
    pub(super) outside: Vec<Reach>,
    /// The groups of a class, one for each of its kinds that is isolated.
    pub(super) groups: Vec<Vec<usize>>,
}

impl Engine {
    pub(super) fn new(cluster: &Cluster, classes: Classes<'_>, ranges: [&Ranges; 2]) -> Self {
        let Classes { kinds, classes, .. } = classes;
        let mut sets = Sets::new();
        let sides = {
            let selection = Selection::new(cluster, &kinds);
            let mut compile = |direction, ranges| {
                Compiler::new(cluster, direction, &kinds, &classes, &selection, ranges, &mut sets).sides()
            };
            [compile(Direction::Ingress, ranges[0]), compile(Direction::Egress, ranges[1])]
        };
        Self { sets, classes, sides }
    }

    pub(super) fn class(&self, index: usize) -> &Class {
        &self.classes[index]
    }

    /// What may pass from one class to another.
    pub(super) fn pair(&mut self, source: usize, destination: usize) -> SetId {
        let shared = self.classes[source].shared;
        if shared.is_some() && shared == self.classes[destination].shared {
            return Sets::ALL;
        }
        let [ingress, egress] = &self.sides;
        let sides = [(egress, source, destination), (ingress, destination, source)];
        let rows = sides.into_iter().flat_map(|(side, subject, other)| side.lets_pass(subject, other));
        rows.fold(Sets::ALL, |both, row| self.sets.intersection(both, row))
    }

    /// What may pass between a class and addresses that are nobody's.
    pub(super) fn outside(&self, class: usize, direction: Direction) -> Reach {
        let side = &self.sides[direction as usize];
        let of_groups = side.groups[class].iter().map(|group| side.outside[*group].clone());
        of_groups.reduce(|a, b| a.intersection(&b)).unwrap_or_else(Reach::all)
    }

    /// Whether some policy isolates a class in a direction.
    pub(super) fn is_isolated(&self, class: usize, direction: Direction) -> bool {
        !self.sides[direction as usize].groups[class].is_empty()
    }
}

impl Sides {
    /// From a row a group. Pairs are looked at source by source, and what that needs is kept together: of egress the row of the
    /// source's group, of ingress what all groups say to the source.
    pub(super) fn new(
        direction: Direction,
        rows: &[Vec<SetId>],
        outside: Vec<Reach>,
        groups: Vec<Vec<usize>>,
    ) -> Self {
        let (count, others) = (rows.len(), groups.len());
        let (cells, steps) = match direction {
            Direction::Egress => (rows.concat(), [others, 1]),
            Direction::Ingress => {
                let of_other = |other| rows.iter().map(move |row| row[other]);
                ((0..others).flat_map(of_other).collect(), [1, count])
            }
        };
        Self { cells, steps, outside, groups }
    }

    fn lets_pass(&self, subject: usize, other: usize) -> impl Iterator<Item = SetId> + '_ {
        let [group_step, other_step] = self.steps;
        let own = self.groups[subject].iter();
        own.map(move |group| self.cells[group * group_step + other * other_step])
    }
}
