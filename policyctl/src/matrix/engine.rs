//! What each class lets pass from and to every other one: policies are compiled once for all pods that the same ones select,
//! and pairs are made source by source, so that no table of all pairs is needed to make them. Of a source only the classes
//! are looked at that let something of it in: where most are isolated, these are few among many.

use super::{
    classes::{Class, Classes},
    compile::Compiler,
    ranges::Ranges,
    selection::Selection,
    sets::{SetId, Sets},
};
use policy_model::{cluster::Cluster, policy::Direction, reach::Reach};
use roaring::RoaringBitmap;
use std::{collections::HashMap, net::IpAddr};

/// Answers for pairs of classes, and for classes and the outside.
pub(super) struct Engine {
    pub(super) sets: Sets,
    classes: Vec<Class>,
    /// Of ingress and egress.
    sides: [Sides; 2],
    /// The classes that nothing isolates for ingress.
    open: Vec<u32>,
    /// The classes of each group of ingress.
    members: Vec<Vec<u32>>,
    /// The classes at each address that several pods share.
    sharing: HashMap<IpAddr, Vec<u32>>,
    /// The groups of ingress that let everybody in, with the ports.
    from_anybody: Vec<(usize, SetId)>,
    /// The groups of ingress that let each crowd of sources in, with the ports.
    let_in: Vec<Vec<(usize, SetId)>>,
    /// The crowds of sources that each class is in.
    crowds_of: Vec<Vec<u32>>,
    scratch: Scratch,
}

/// Room for the row of one source, all of it [`Sets::NONE`] between two sources.
struct Scratch {
    /// By group of ingress.
    groups: Vec<SetId>,
    /// By class.
    classes: Vec<SetId>,
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
        let (mut from_anybody, mut let_in) = (Vec::new(), vec![Vec::new(); ingress.crowds.len()]);
        for (group, allows) in ingress.allows.iter().enumerate() {
            for Allowed { crowd, ports } in allows {
                match crowd {
                    Some(crowd) => let_in[*crowd as usize].push((group, *ports)),
                    None => from_anybody.push((group, *ports)),
                }
            }
        }
        let mut crowds_of = vec![Vec::new(); classes.len()];
        for (number, crowd) in ingress.crowds.iter().enumerate() {
            crowd.iter().for_each(|class| crowds_of[class as usize].push(number as u32));
        }
        let (mut open, mut members) = (Vec::new(), vec![Vec::new(); ingress.allows.len()]);
        let mut sharing: HashMap<IpAddr, Vec<u32>> = HashMap::new();
        for (number, class) in classes.iter().enumerate() {
            let groups = &ingress.groups[number];
            groups.iter().for_each(|group| members[*group].push(number as u32));
            if groups.is_empty() {
                open.push(number as u32);
            }
            if let Some(address) = class.shared {
                sharing.entry(address).or_default().push(number as u32);
            }
        }
        let scratch = Scratch {
            groups: vec![Sets::NONE; ingress.allows.len()],
            classes: vec![Sets::NONE; classes.len()],
        };
        Self { sets, classes, sides, open, members, sharing, from_anybody, let_in, crowds_of, scratch }
    }

    /// How many classes there are.
    pub(super) fn classes(&self) -> usize {
        self.classes.len()
    }

    pub(super) fn class(&self, index: usize) -> &Class {
        &self.classes[index]
    }

    /// What may pass from a class to every other one, without those to which nothing may; ordered by class.
    pub(super) fn reaches(&mut self, source: usize) -> Vec<(u32, SetId)> {
        let mut row = self.let_in(source);
        self.let_out(source, &mut row);
        if let Some(address) = self.classes[source].shared {
            // Pods at one address are one pod to each other, and no policy stands between them.
            let sharing = &self.sharing[&address];
            row.retain(|(class, _)| sharing.binary_search(class).is_err());
            row.extend(sharing.iter().map(|class| (*class, Sets::ALL)));
            row.sort_unstable_by_key(|(class, _)| *class);
        }
        row
    }

    /// What the policies of the others let in from a class.
    fn let_in(&mut self, source: usize) -> Vec<(u32, SetId)> {
        let Self { sets, scratch, .. } = self;
        let of_crowds = self.crowds_of[source].iter().flat_map(|crowd| &self.let_in[*crowd as usize]);
        let mut groups = Vec::new();
        for (group, ports) in self.from_anybody.iter().chain(of_crowds) {
            let set = &mut scratch.groups[*group];
            if *set == Sets::NONE {
                groups.push(*group);
            }
            *set = sets.union(*set, *ports);
        }
        let mut row: Vec<(u32, SetId)> = self.open.iter().map(|class| (*class, Sets::ALL)).collect();
        for class in groups.iter().flat_map(|group| &self.members[*group]) {
            let of_class = &self.sides[Direction::Ingress as usize].groups[*class as usize];
            let all = of_class.iter().map(|group| scratch.groups[*group]);
            row.push((*class, all.fold(Sets::ALL, |all, set| sets.intersection(all, set))));
        }
        groups.iter().for_each(|group| scratch.groups[*group] = Sets::NONE);
        row.retain(|(_, set)| *set != Sets::NONE);
        row.sort_unstable_by_key(|(class, _)| *class);
        // A class of several groups has come with each.
        row.dedup();
        row
    }

    /// Leaves of a row what the policies of its source let out.
    fn let_out(&mut self, source: usize, row: &mut Vec<(u32, SetId)>) {
        let Self { sets, scratch: Scratch { classes: out, .. }, sides: [_, egress], .. } = self;
        for group in &egress.groups[source] {
            let within = RoaringBitmap::from_sorted_iter(row.iter().map(|(class, _)| *class));
            // They are sorted, or else nothing would be let out.
            let within = within.unwrap_or_default();
            for Allowed { crowd, ports } in &egress.allows[*group] {
                let mut add = |class: u32| {
                    let set = &mut out[class as usize];
                    *set = sets.union(*set, *ports);
                };
                match crowd {
                    Some(crowd) => (&egress.crowds[*crowd as usize] & &within).iter().for_each(&mut add),
                    None => row.iter().for_each(|(class, _)| add(*class)),
                }
            }
            row.retain_mut(|(class, set)| {
                let out = std::mem::replace(&mut out[*class as usize], Sets::NONE);
                *set = sets.intersection(*set, out);
                *set != Sets::NONE
            });
        }
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
