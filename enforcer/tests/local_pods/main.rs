//! A pod's packets are judged from its first instant: what CNI's files and the host's links say, in the kernel's maps. Needs
//! root: each test has a network namespace of its own.

mod bad_days;
mod host;
mod latency;
#[path = "../../benches/observed/mod.rs"]
mod observed;
mod order;
