//! What must be so before anything is enforced: without it policy would not hold, and policyd would only seem to work.

use super::Failure;
use crate::{
    nft::{Error, Finding},
    node::facts::Facts,
};

/// What to do where `CAP_NET_ADMIN` is missing.
pub(super) const GIVE_CAPABILITY: &str =
    "run policyd as root, or give its container the capability NET_ADMIN";
/// What to do where the kernel lacks nf_tables.
pub(super) const GIVE_NF_TABLES: &str = "load the kernel modules nf_tables, nft_ct, nft_log and nft_limit (modprobe nf_tables), or use a kernel that has them";
/// What to do where `br_netfilter` is missing.
pub(super) const GIVE_BR_NETFILTER: &str = "run `modprobe br_netfilter` on the host, and name it in /etc/modules-load.d/ so that it is there after a reboot";

/// Why policy would not hold with kube-proxy in IPVS mode: a pod's packet to a Service is answered for in `input` and leaves by
/// `output`.
pub(super) const IPVS: &str =
    "kube-proxy is in IPVS mode: Service traffic skips the forward hook, so policy would not hold";
/// What to do about it.
pub(super) const LEAVE_IPVS: &str = "set mode: nftables in kube-proxy's ConfigMap (kube-system/kube-proxy), remove the device kube-ipvs0, run this again";
/// The device on which kube-proxy in IPVS mode keeps the Services' addresses.
const IPVS_DEVICE: &str = "kube-ipvs0";

/// Whether kube-proxy is in IPVS mode, or has left its device behind.
pub(super) fn is_ipvs(facts: &Facts) -> bool {
    facts.link(IPVS_DEVICE).is_some()
}

/// Whether a finding is about the bridge family, which only the source guard needs.
pub(super) fn is_bridge_family(finding: &Finding) -> bool {
    finding.what.contains("bridge family")
}

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
