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
pub mod live;
pub mod load;
mod nfnetlink;
pub mod processor;
mod rounds;
mod shape;
mod stage;
pub mod statistics;
mod switch;

pub use contender::Contender;
pub use load::Load;
pub use rounds::{Comparison, Measured, Paired, Path, flatness, measure};
pub use shape::Shape;
pub use stage::{PORT, Stage, WAYS, Way};

use std::{fmt::Display, process::ExitCode};

/// What the words after a bench's name ask for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// `--rounds N`, or as many as the bench does by itself.
    pub rounds: usize,
    /// `--small`: without the largest sizes.
    pub small: bool,
}

impl Asked {
    /// Of sizes that grow, those that are asked for: the large ones are above 1,000.
    #[must_use]
    pub fn sizes(self, sizes: &[usize]) -> &[usize] {
        let small = sizes.iter().take_while(|size| **size <= 1_000).count();
        if self.small { &sizes[..small] } else { sizes }
    }
}

/// What a bench's `main` does: `run` with what is asked for.
#[must_use]
pub fn main<E: Display>(rounds: usize, run: impl FnOnce(Asked) -> Result<(), E>) -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let number = words.iter().skip_while(|word| *word != "--rounds").nth(1);
    let asked = Asked {
        rounds: number.and_then(|number| number.parse().ok()).unwrap_or(rounds),
        small: words.iter().any(|word| word == "--small"),
    };
    match run(asked) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
