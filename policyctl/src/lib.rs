//! What `policyctl` knows: how people name the ends of a flow, and the files in which they write down what they expect.
//!
//! The verdicts themselves come from `policy-model`. This crate links no C library and runs on a laptop.
#![forbid(unsafe_code)]

pub mod assertions;
pub mod cli;
mod cluster_dns;
pub mod connect;
pub mod diff;
pub mod endpoint;
pub mod explain;
pub mod exposure;
pub mod fix;
pub mod generate;
pub mod input;
pub mod lint;
pub mod live;
pub mod manifest;
pub mod matrix;
mod places;
pub mod report;
pub mod style;
pub mod test_run;
pub mod who;
mod xml;
pub mod yaml;
