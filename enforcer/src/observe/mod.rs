//! What policyd shows of itself: metrics, health, programs and verdicts over HTTP.

pub mod described;
pub mod http;
pub mod kernel;
pub mod metrics;
pub mod programs;
pub mod verdict;

/// Where HTTP is served unless `--http` says otherwise: this host only.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:9469";
