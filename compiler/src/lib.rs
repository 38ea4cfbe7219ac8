//! From events to nftables: the incremental index, the programs it lowers policies into, the ruleset IR, the Delta
//! between two revisions, and a simulator that walks the IR as the kernel would.
//!
//! No I/O, no clock, no async. What it puts out is a function of the state alone, never of the order of events.
#![forbid(unsafe_code)]

pub mod config;
pub mod decision;
pub mod delta;
mod desired;
mod engine;
mod index;
pub mod ir;
mod program;
pub mod reach;
#[cfg(feature = "serde")]
pub mod readback;
pub mod sim;
pub mod skeleton;
pub mod stages;
pub mod text;

pub use engine::{Compiler, Event, Excess, Limit, LocalPod, Pace, Stats};
pub use index::{Scope, SelectorKey};
pub use program::program_direction;
