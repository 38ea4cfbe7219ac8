//! Batch, commit, verify, repair: the loop between what is wanted and what the kernel holds.

mod batch;
mod check;
mod daemon;
mod departed;
mod engine;
mod input;
mod limited;
mod quarantine;
mod refused;
mod schedule;
mod telling;
mod turned;

pub use check::{PartReader, Step};
pub use daemon::Daemon;
pub use engine::{Engine, Outcome, Totals};
pub use input::{Input, Question};
