//! What rulesets do to packets: one packet at a time, and all at once.

mod sim;
mod support;
