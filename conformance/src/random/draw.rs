//! Values from a seed: the same seed gives the same ones again.

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use std::fmt::Debug;

/// A source of values.
#[derive(Debug)]
pub struct Draw(TestRunner);

impl Draw {
    /// What this seed gives.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self(TestRunner::new_with_rng(Config::default(), rng))
    }

    /// A value of a strategy.
    ///
    /// # Panics
    /// If the strategy rejects too much. None of `policy_model::strategies` rejects anything.
    pub fn value<T: Debug>(&mut self, strategy: impl Strategy<Value = T>) -> T {
        match strategy.new_tree(&mut self.0) {
            Ok(tree) => tree.current(),
            Err(reason) => panic!("the strategy gives nothing: {reason}"),
        }
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&mut self, end: usize) -> usize {
        self.value(0..end)
    }

    /// One of these, of which there is at least one.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}
