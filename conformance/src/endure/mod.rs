//! `cargo endure`: the lab under a random stream of events and faults, with streams of datagrams between all hosts all
//! the while.
//!
//! What the model forbids never passes, what it allows is never lost, and what is the same before and after an event is
//! so in between, whatever breaks: `policyd` killed and frozen, tables of others that come and go, notifications lost; and, if the daemons follow an
//! API server, that one killed, stopped, cut off and without its history. The one window there is, while
//! somebody else has damaged our tables, is measured. A seed gives a run's events again; a round in which a promise is broken is made
//! smaller and kept.

mod between;
mod disk;
mod error;
mod expect;
mod fault;
mod judge;
mod keep;
mod memory;
mod objects;
mod report;
mod round;
mod served;
mod streams;
mod tally;
mod world;

pub use error::EndureError;
pub use report::document;
pub use tally::Tally;

use crate::random::Draw;
use round::Round;
use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use world::World;

/// After so many rounds with a broken promise a run has said enough.
const ENOUGH: usize = 5;

/// What to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Rounds begin until this time has passed.
    pub time: Duration,
    /// Where events are drawn from.
    pub seed: u64,
    /// Whether the daemons follow a real API server, to which things happen too. If not, they follow a folder of manifests.
    pub api_server: bool,
    /// Where rounds are kept in which a promise was broken.
    pub keep: PathBuf,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What was counted.
    pub tally: Tally,
    /// How many rounds there were.
    pub rounds: u64,
    /// How long they took.
    pub took: Duration,
    /// The most that a daemon had resident early in the run, and at its end, in bytes.
    pub resident: [u64; 2],
}

/// Runs it. `tell` gets a line about each round; `interrupted` ends it before the next one.
///
/// # Errors
/// [`EndureError`] if the lab or a daemon cannot go on. Promises that are broken are in [`Tally::broken`].
pub fn run(
    settings: &Settings,
    interrupted: &AtomicBool,
    tell: &mut dyn FnMut(&str),
) -> Result<Ended, EndureError> {
    let mut world = World::start(settings.seed, settings.api_server)?;
    world.control()?;
    tell("control: what passes without a table, and what a rule that drops loses, is found");
    let begin = Instant::now();
    let (mut tally, mut rounds, mut failed, mut early) = (Tally::default(), 0, 0, 0);
    while begin.elapsed() < settings.time && failed < ENOUGH {
        if interrupted.load(Ordering::SeqCst) {
            return Err(EndureError::Interrupted);
        }
        let seed = round_seed(settings.seed, rounds);
        let mut draw = Draw::new(seed);
        let round = Round::draw(&mut draw, settings.api_server);
        tell(&format!("{:>6.1} s  {rounds:>5}  {round}", begin.elapsed().as_secs_f64()));
        let before = world.cluster().clone();
        let broken = world.perform(&round, &mut draw, &mut tally)?;
        if !broken.is_empty() {
            failed += 1;
            for promise in &broken {
                tally.broken.push(format!("round {rounds} ({round}): {promise}"));
                tell(&format!("  BROKEN  {promise}"));
            }
            let after = world.cluster().clone();
            let folder = settings.keep.join(format!(
                "{}seed-{}-round-{rounds}",
                if settings.api_server { "api-" } else { "" },
                settings.seed
            ));
            keep::keep(&mut world, &folder, seed, &before, &after, &broken, tell)?;
        }
        rounds += 1;
        if rounds == 20 {
            early = world.resident();
        }
    }
    tally.relisted = world.relisted();
    tally.unwritten = world.unwritten();
    let resident = [early, world.resident()];
    Ok(Ended { tally, rounds, took: begin.elapsed(), resident })
}

/// The seed of a round, from which it can be drawn without those before it.
fn round_seed(seed: u64, round: u64) -> u64 {
    // SplitMix64's finaliser: neighbouring numbers become unrelated ones.
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(round);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
