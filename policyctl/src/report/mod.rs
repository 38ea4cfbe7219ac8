//! `policyctl report`: what policies let pass, as one page that needs nothing else.
//!
//! [`Report`] is what the page knows, [`page`] writes it, [`graph`] is the graph of workloads that the page, `-o dot` and `-o svg`
//! draw. Verdicts are those of the matrix; the page itself decides nothing.

mod data;
pub mod graph;
pub mod page;
mod rules;
#[cfg(test)]
mod tests;

pub use data::{Cell, Outside, Report, Workload};
pub use rules::{PolicyFacts, RuleFacts};
