//! What rulesets do to packets: one packet at a time, and all at once.

mod reach;
mod sim;
mod support;
