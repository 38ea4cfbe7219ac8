//! `enforcer::nft` against the real kernel, each test in a network namespace of its own. They need root.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod conntrack;
mod faults;
mod foreign;
mod load;
mod monitor;
mod neighbours;
mod parse;
mod privileges;
mod random;
mod refusals;
mod round_trip;
mod rulesets;
mod support;
