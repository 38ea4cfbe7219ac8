//! Rulesets in a real kernel. Needs root and `nft`: each case runs in a network namespace of its own.

mod agreement;
mod compiled;
mod namespace;
mod text;
