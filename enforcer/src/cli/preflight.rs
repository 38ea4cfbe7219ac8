//! What must be so before anything is enforced: without it policy would not hold, and policyd would only seem to work.

use super::{Failure, run::cannot};
use crate::{
    fitness::{GIVE_BR_NETFILTER, GIVE_NF_TABLES, IPVS, LEAVE_IPVS, is_bridge_family, is_ipvs},
    nft::{self, Error},
    node::{facts::Facts, sole::Sole},
};
use tracing::warn;

pub(super) use crate::fitness::GIVE_CAPABILITY;

/// Claims this network namespace's tables for as long as what is returned lives. `None`: it cannot be claimed here, which is no
/// reason to enforce nothing.
///
/// # Errors
/// Another `policyd` has; `help` is what to do about it.
pub(super) fn claim(help: &str) -> Result<Option<Sole>, Failure> {
    match Sole::claim() {
        Ok(Some(sole)) => Ok(Some(sole)),
        Ok(None) => Err(Failure::failed("another policyd runs in this network namespace", help)),
        Err(error) => {
            warn!(%error, "a second policyd in this network namespace would not be noticed");
            Ok(None)
        }
    }
}

/// That the tables in the kernel, if there are any, are none of a later `policyd`. They stay as they are.
fn require_known_layout() -> Result<(), Failure> {
    let chains = nft::chains().map_err(|e| cannot("list the chains of nftables", &e))?;
    let Some(layout) = nft::unknown_layout(&chains) else { return Ok(()) };
    Err(Failure::failed(
        format!(
            "the tables in the kernel have layout {layout}, which this policyd does not know: they stay in force as they are"
        ),
        "a newer policyd has made them: run that one again, or take them away with `policyd cleanup`, after which pods are open until policyd runs",
    ))
}

/// Whether the bridge family works.
///
/// # Errors
/// Something that policy itself needs does not, or the tables that are there are a later `policyd`'s.
pub(super) fn require(facts: &Facts) -> Result<bool, Failure> {
    let mut bridge_family = true;
    for finding in &nft::probe() {
        match &finding.result {
            Ok(()) => {}
            Err(_) if is_bridge_family(finding) => bridge_family = false,
            Err(error) => return Err(refused(finding.what, error)),
        }
    }
    if is_ipvs(facts) {
        return Err(Failure::failed(IPVS, LEAVE_IPVS));
    }
    if facts.netfilter.is_none() {
        return Err(Failure::failed(
            "br_netfilter is not loaded: traffic between pods of this node would pass by every policy",
            GIVE_BR_NETFILTER,
        ));
    }
    require_known_layout()?;
    Ok(bridge_family)
}

fn refused(what: &str, error: &Error) -> Failure {
    match error {
        Error::Permission => Failure::failed(
            "CAP_NET_ADMIN is missing: the kernel refuses changes of nftables",
            GIVE_CAPABILITY,
        ),
        error => Failure::failed(format!("this kernel cannot {what}: {error}"), GIVE_NF_TABLES),
    }
}
