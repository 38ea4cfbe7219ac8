//! `policyd run --kubeconfig` against a real API server: what the kernel holds is what a folder of the same objects, compiled
//! from nothing, would put there, after everything that happens to an API server and to a watch.

mod asked;
mod bad_days;
mod boot;
mod burst;
mod clock;
mod daemon;
mod denied;
mod facts;
mod ground;
mod lost_watches;
mod reports;
mod rights;
mod states;
mod traffic;
