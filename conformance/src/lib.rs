//! Proof that Palisade does what it says, on real kernels.
//!
//! [`scenario`] reads the expectations of `testdata` and asks the model and the simulator.
//! [`lab`] raises a small cluster in network namespaces of this machine; [`probe`] sends real traffic through it. Suites,
//! attacks and the demo stand on these two. [`cluster`] runs real Kubernetes servers, [`image`] makes container images for
//! them. The crate links no C library and has no `unsafe`.
#![forbid(unsafe_code)]

pub mod attack;
pub mod bench;
pub mod cluster;
pub mod demo;
pub mod endure;
pub mod enforced;
pub mod image;
pub mod lab;
pub mod log_tail;
pub mod policyctl_run;
pub mod preload;
pub mod probe;
pub mod random;
pub mod sbom;
pub mod scenario;
pub mod suite;
