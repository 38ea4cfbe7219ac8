//! A set for every pair of rows, without a place in memory for each: most of a source's pairs are like their neighbours.

use super::sets::{SetId, Sets};

/// Sets by source and destination.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// Of each source the destinations at which another set begins, ordered, with that set; from the first one on.
    sources: Vec<Box<[(u32, SetId)]>>,
    count: u32,
}

impl Pairs {
    /// Takes in the next source, with its set for each destination.
    pub(super) fn push(&mut self, row: &[SetId]) {
        self.count = row.len() as u32;
        let mut before = None;
        let begins = |(index, set): (usize, &SetId)| {
            let is_other = before != Some(*set);
            before = Some(*set);
            is_other.then_some((index as u32, *set))
        };
        self.sources.push(row.iter().enumerate().filter_map(begins).collect());
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
