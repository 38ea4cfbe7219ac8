//! What a packet costs, measured so that a busy machine with two processors cannot pretend.
//!
//! Everything that is compared stands in one lab at once, as tables that sleep (`flags dormant`: their chains hang on no
//! hook). A comparison wakes its base, measures, wakes its subject, measures, and so on in turn (A B A B …): the pods,
//! sockets, conntrack entries and routes stay the same, only the hooks change. A [flow](load::Flow) is driven by one thread that owns
//! both of its sockets: a datagram has gone through the whole path, to the receiver's queue, when `send` returns. So the
//! time of a burst of sends is the cost of the path, without a wake-up or a second processor in it. The thread is
//! pinned and runs ahead of all normal work ([`processor`]), and a visit keeps the median of its many short bursts.
//!
//! [`statistics`] tells what the rounds say, and when they say nothing: where the spread drowns the difference there
//! is no verdict.

pub mod cluster;
mod contender;
pub mod layout;
pub mod load;
mod nfnetlink;
pub mod processor;
mod rounds;
mod stage;
pub mod statistics;
mod switch;

pub use contender::Contender;
pub use load::Load;
pub use rounds::{Comparison, Measured, Paired, Path, measure};
pub use stage::{PORT, Stage, WAYS, Way};

use crate::lab::LabError;
use std::process::ExitCode;

/// What a bench's `main` does: `run` with as many rounds as `--rounds N` says.
#[must_use]
pub fn main(rounds: usize, run: impl FnOnce(usize) -> Result<(), LabError>) -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let asked = words.iter().skip_while(|word| *word != "--rounds").nth(1);
    match run(asked.and_then(|number| number.parse().ok()).unwrap_or(rounds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
