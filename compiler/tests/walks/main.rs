//! What rulesets do to packets: one packet at a time, and all at once.

mod random;
mod reach;
mod sim;
mod support;
