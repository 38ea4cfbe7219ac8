//! What must be so before anything is enforced: without it policy would not hold, and policyd would only seem to work.

use super::Failure;
use crate::{
    fitness::{GIVE_BR_NETFILTER, GIVE_NF_TABLES, IPVS, LEAVE_IPVS, is_bridge_family, is_ipvs},
    nft::{Error, Finding},
    node::facts::Facts,
};

pub(super) use crate::fitness::GIVE_CAPABILITY;

/// Whether the bridge family works.
///
/// # Errors
/// Something that policy itself needs does not.
pub(super) fn require(findings: &[Finding], facts: &Facts) -> Result<bool, Failure> {
    let mut bridge_family = true;
    for finding in findings {
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
