//! A folder of Kubernetes manifests, followed as it changes.
//!
//! One bad object never changes anything for others. A file or object that breaks while policyd runs keeps what it last
//! said, so that a typing mistake neither opens nor closes anything.

mod fault;
mod folder;
mod holdings;
mod watch;

pub use fault::Fault;
pub use folder::{Folder, OpenError};
pub use watch::follow;
