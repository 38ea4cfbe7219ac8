//! What the node's kernel holds, read back when somebody asks: `policyctl verify` and `explain --node` compare it with the
//! model.

use crate::{
    apply::Engine,
    nft::{Backend, Dump, Error},
};
use compiler::readback::{ForeignObject, Readback};

/// Reads our tables from the kernel. What is on its way to the kernel is not in them.
///
/// # Errors
/// What [`Backend::dump`] says.
pub fn readback<B: Backend>(engine: &mut Engine<B>) -> Result<Readback, Error> {
    engine.tidy()?;
    let dump = engine.backend().dump()?;
    let drift = dump.delta_to(&engine.wanted()).ops.len();
    let Dump { ruleset, foreign, .. } = dump;
    let compiler = engine.compiler();
    let foreign =
        foreign.into_iter().map(|f| ForeignObject { object: f.object.to_string(), what: f.what }).collect();
    Ok(Readback {
        kind: Readback::KIND.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node: compiler.config().node.to_string(),
        revision: engine.revision(),
        config: compiler.config().clone(),
        pods: compiler.local_pods().into_iter().map(Into::into).collect(),
        drift,
        foreign,
        ruleset,
    })
}
