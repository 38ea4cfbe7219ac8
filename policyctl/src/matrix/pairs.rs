//! A set for every pair of rows, without a place in memory for each: most of a source's pairs are like their neighbours.

use super::sets::{SetId, Sets};

/// Sets by source and destination.
#[derive(Debug)]
pub(super) struct Pairs {
    /// Of each source the destinations at which another set begins, ordered, with that set; from the first one on.
    sources: Vec<Box<[(u32, SetId)]>>,
    count: u32,
}

impl Pairs {
    /// Between none of `count` rows yet.
    pub(super) fn new(count: usize) -> Self {
        Self { sources: Vec::with_capacity(count), count: count as u32 }
    }

    /// Takes in the next source, with its set for each destination to which something may pass, ordered.
    pub(super) fn push(&mut self, filled: impl Iterator<Item = (u32, SetId)>) {
        let mut runs = vec![(0, Sets::NONE)];
        let mut end = 0;
        let mut begin = |at: u32, set| match runs.last_mut() {
            Some((start, last)) if *start == at => *last = set,
            Some((_, last)) if *last == set => {}
            _ => runs.push((at, set)),
        };
        for (destination, set) in filled {
            if destination > end {
                begin(end, Sets::NONE);
            }
            begin(destination, set);
            end = destination + 1;
        }
        if end < self.count {
            begin(end, Sets::NONE);
        }
        self.sources.push(runs.into_boxed_slice());
    }

    /// The set of a pair.
    pub(super) fn of(&self, source: usize, destination: usize) -> SetId {
        let runs = &self.sources[source];
        let after = runs.partition_point(|(begin, _)| *begin as usize <= destination);
        after.checked_sub(1).map_or(Sets::NONE, |at| runs[at].1)
    }

    /// A source's destinations in stretches of the same set: first, behind the last, set.
    pub(super) fn stretches(&self, source: usize) -> impl Iterator<Item = (usize, usize, SetId)> + '_ {
        let runs = &self.sources[source];
        let ends = runs.iter().skip(1).map(|(begin, _)| *begin).chain([self.count]);
        runs.iter().zip(ends).map(|((begin, set), end)| (*begin as usize, end as usize, *set))
    }

    /// Every pair between which something may pass, by source and destination.
    pub(super) fn filled(&self) -> impl Iterator<Item = (usize, usize, SetId)> + '_ {
        (0..self.sources.len()).flat_map(move |source| {
            let filled = self.stretches(source).filter(|(.., set)| *set != Sets::NONE);
            filled.flat_map(move |(begin, end, set)| (begin..end).map(move |to| (source, to, set)))
        })
    }
}
