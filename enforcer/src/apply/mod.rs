//! Batch, commit, verify, repair: the loop between what is wanted and what the kernel holds.

mod batch;
mod check;
mod daemon;
mod engine;
mod input;
mod limited;
mod moves;
mod quarantine;
mod reader;
mod refused;
mod schedule;
mod telling;
mod turned;

pub use check::Step;
pub use daemon::Daemon;
pub use engine::{Engine, Outcome, Totals};
pub use input::{Input, Question};
pub use reader::Reader;
