//! What each class lets pass from and to every other one: policies are compiled once for all pods that the same ones select,
//! and pairs are made source by source, so that no table of all pairs is needed to make them.

use super::{
    classes::{Class, Classes},
    compile::Compiler,
    ranges::Ranges,
    selection::Selection,
    sets::{SetId, Sets},
};
use policy_model::{cluster::Cluster, policy::Direction, reach::Reach};
use roaring::RoaringBitmap;

/// Answers for pairs of classes, and for classes and the outside.
pub(super) struct Engine {
    pub(super) sets: Sets,
    classes: Vec<Class>,
    /// Of ingress and egress.
    sides: [Sides; 2],
    /// What each group of ingress lets in from everybody.
    from_anybody: Vec<SetId>,
    /// The groups of ingress that let each crowd of sources in, with the ports.
    let_in: Vec<Vec<(usize, SetId)>>,
    /// The crowds of sources that each class is in.
    crowds_of: Vec<Vec<u32>>,
}

/// One direction.
pub(super) struct Sides {
    /// Classes that some peer covers, each such set once.
    pub(super) crowds: Vec<RoaringBitmap>,
    /// What each group of kinds lets pass: with which crowds, and with all others.
    pub(super) allows: Vec<Vec<Allowed>>,
    /// What each group lets pass with addresses that are nobody's.
    pub(super) outside: Vec<Reach>,
    /// The groups of a class, one for each of its kinds that is isolated.
    pub(super) groups: Vec<Vec<usize>>,
}

/// What a rule lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Allowed {
    /// With whom, as a number in [`Sides::crowds`]; `None` is everybody.
    pub(super) crowd: Option<u32>,
    pub(super) ports: SetId,
}

/// One class as a source: what its own policies let out, and what those of the others let in from it.
pub(super) struct Outlook {
    pub(super) class: usize,
    /// By class; `None` if nothing isolates it.
    egress: Option<Vec<SetId>>,
    /// By group of ingress.
    ingress: Vec<SetId>,
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
        let ingress = &sides[Direction::Ingress as usize];
        let mut from_anybody = vec![Sets::NONE; ingress.allows.len()];
        let mut let_in = vec![Vec::new(); ingress.crowds.len()];
        for (group, allows) in ingress.allows.iter().enumerate() {
            for Allowed { crowd, ports } in allows {
                match crowd {
                    Some(crowd) => let_in[*crowd as usize].push((group, *ports)),
                    None => from_anybody[group] = sets.union(from_anybody[group], *ports),
                }
            }
        }
        let mut crowds_of = vec![Vec::new(); classes.len()];
        for (number, crowd) in ingress.crowds.iter().enumerate() {
            crowd.iter().for_each(|class| crowds_of[class as usize].push(number as u32));
        }
        Self { sets, classes, sides, from_anybody, let_in, crowds_of }
    }

    pub(super) fn class(&self, index: usize) -> &Class {
        &self.classes[index]
    }

    /// What is to be known of a source before it is asked whom it reaches.
    pub(super) fn outlook(&mut self, class: usize) -> Outlook {
        let Self { sets, classes, sides: [_, egress], from_anybody, let_in, crowds_of } = self;
        let rows = egress.groups[class].iter().map(|group| {
            let mut row = vec![Sets::NONE; classes.len()];
            for Allowed { crowd, ports } in &egress.allows[*group] {
                let mut add = |other: usize| row[other] = sets.union(row[other], *ports);
                match crowd {
                    Some(crowd) => {
                        egress.crowds[*crowd as usize].iter().for_each(|other| add(other as usize))
                    }
                    None => (0..classes.len()).for_each(add),
                }
            }
            row
        });
        let rows: Vec<Vec<SetId>> = rows.collect();
        let egress = rows.into_iter().reduce(|mut both, row| {
            both.iter_mut().zip(row).for_each(|(set, other)| *set = sets.intersection(*set, other));
            both
        });
        let mut let_in_to = from_anybody.clone();
        for crowd in &crowds_of[class] {
            for (group, ports) in &let_in[*crowd as usize] {
                let_in_to[*group] = sets.union(let_in_to[*group], *ports);
            }
        }
        Outlook { class, egress, ingress: let_in_to }
    }

    /// What may pass from a source to a class.
    pub(super) fn reaches(&mut self, source: &Outlook, destination: usize) -> SetId {
        let shared = self.classes[source.class].shared;
        if shared.is_some() && shared == self.classes[destination].shared {
            return Sets::ALL;
        }
        let mut both = source.egress.as_ref().map_or(Sets::ALL, |row| row[destination]);
        for group in &self.sides[Direction::Ingress as usize].groups[destination] {
            both = self.sets.intersection(both, source.ingress[*group]);
        }
        both
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
