//! Pods by label: where the members of a new selector are looked for.

use super::{Row, Symbol};
use roaring::RoaringBitmap;
use std::collections::HashMap;

/// For each label pair that some pod has, the pods that have it.
#[derive(Debug, Default)]
pub(crate) struct Postings {
    pairs: HashMap<(Symbol, Symbol), RoaringBitmap>,
}

impl Postings {
    pub(crate) fn insert(&mut self, pod: u32, labels: &Row) {
        for &pair in labels {
            self.pairs.entry(pair).or_default().insert(pod);
        }
    }

    pub(crate) fn remove(&mut self, pod: u32, labels: &Row) {
        for pair in labels {
            if let Some(pods) = self.pairs.get_mut(pair) {
                pods.remove(pod);
                if pods.is_empty() {
                    self.pairs.remove(pair);
                }
            }
        }
    }

    /// How many pods have one of these values, and which.
    pub(crate) fn with(&self, key: Symbol, values: &[Symbol]) -> (u64, impl Fn() -> RoaringBitmap) {
        let lists: Vec<_> = values.iter().filter_map(|&value| self.pairs.get(&(key, value))).collect();
        let count = lists.iter().map(|pods| pods.len()).sum();
        (count, move || lists.iter().fold(RoaringBitmap::new(), |all, pods| all | *pods))
    }
}
