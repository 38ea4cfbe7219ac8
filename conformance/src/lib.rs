//! Proof that Palisade does what it says, on real kernels.
//!
//! [`lab`] raises a small cluster in network namespaces of this machine; [`probe`] sends real traffic through it. Suites,
//! attacks and the demo stand on these two. The crate links no C library and has no `unsafe`.
#![forbid(unsafe_code)]

pub mod lab;
pub mod probe;
