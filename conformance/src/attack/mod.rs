//! Attacks: packets that no honest pod sends, and flows in every state that a verdict can be asked in.
//!
//! [`Ground`] is the lab they happen in: two nodes and five pods under real NetworkPolicy objects. [`catalogue`] lists the
//! crafted packets, each with what must become of it; [`run()`] sends them all at once. [`matrix`] is the honest traffic
//! that policies are about. The same lists run without our tables first, so that each is seen to get through when
//! nobody stops it.
//!
//! [`Installed`] stands for `policyd` on the nodes: it compiles the cluster's objects and loads what the compiler says.

pub mod catalogue;
mod enforce;
mod ground;
pub mod matrix;
mod objects;
pub mod packet;
mod run;

pub use catalogue::{Arrival, Attack, Baseline, Wanted};
pub use enforce::{Installed, enforce};
pub use ground::{Cast, Ground, Host, LISTEN, Mac};
pub use objects::{cluster, policies, port};
pub use run::{Seen, faults, run};
