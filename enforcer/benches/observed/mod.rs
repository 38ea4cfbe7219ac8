//! The kernel, with an eye on what it has taken.

#[path = "../../tests/support/committing.rs"]
mod committing;

use committing::Committing;
use compiler::delta::Delta;
use enforcer::nft::{Backend, Kernel};

/// Calls `taken` with each transaction, as soon as the kernel has acknowledged it.
pub(crate) fn observed(kernel: Kernel, mut taken: impl FnMut(&Delta) + Send) -> impl Backend {
    Committing::new(kernel, move |kernel: &mut Kernel, delta, generation| {
        let commit = kernel.commit(delta, generation)?;
        taken(delta);
        Ok(commit)
    })
}
