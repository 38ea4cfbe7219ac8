//! The checks, one subject a file.

mod blocks;
mod dns;
mod mesh;
mod named_ports;
mod refused;
mod selects;
mod shadowed;
mod system;
mod traps;

use super::{Finding, context::Context};

/// Every finding of every check, in no order.
pub(super) fn all(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = refused::check(context);
    // Without any pod there is nothing to hold selectors against: such a folder holds policies alone.
    if !context.pods.is_empty() {
        findings.extend(selects::check(context));
        findings.extend(named_ports::check(context));
        findings.extend(dns::check(context));
        findings.extend(mesh::check(context));
    }
    findings.extend(blocks::check(context));
    findings.extend(shadowed::check(context));
    findings.extend(system::check(context));
    findings.extend(traps::check(context));
    findings
}
