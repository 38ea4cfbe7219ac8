//! What this kernel can do, and what it lets us do.

use super::{Fact, Finding, GIVE_CAPABILITY, GIVE_NF_TABLES};
use crate::nft::{Error, Finding as Trial};

/// Whether a trial is about the bridge family, which only the guards of ports need.
#[must_use]
pub fn is_bridge_family(trial: &Trial) -> bool {
    trial.what.contains("bridge family")
}

/// What follows from [`crate::nft::probe`].
#[must_use]
pub fn findings(trials: &[Trial]) -> Vec<Finding> {
    vec![privileges(trials), nf_tables(trials), bridge_family(trials)]
}

fn privileges(trials: &[Trial]) -> Finding {
    let fact = Fact::Privileges;
    if trials.iter().any(|trial| matches!(trial.result, Err(Error::Permission))) {
        let what = "CAP_NET_ADMIN is missing in this network namespace";
        Finding::fail(fact, "missing", what, GIVE_CAPABILITY)
    } else {
        Finding::ok(fact, "NET_ADMIN", "CAP_NET_ADMIN in this network namespace")
    }
}

fn nf_tables(trials: &[Trial]) -> Finding {
    let fact = Fact::NfTables;
    let failed =
        trials.iter().filter(|trial| !is_bridge_family(trial)).find_map(|trial| match &trial.result {
            Err(error) => Some((trial.what, error)),
            Ok(()) => None,
        });
    let release = release();
    match failed {
        None => Finding::ok(
            fact,
            release.clone(),
            format!(
                "kernel {release}: inet tables, maps of verdicts, sets of ranges and of concatenations, conntrack, \
                 NFLOG, limits"
            ),
        ),
        Some((_, Error::Permission)) => Finding::fail(
            fact,
            "unknown",
            "not known: the kernel answers nobody without CAP_NET_ADMIN",
            GIVE_CAPABILITY,
        ),
        Some((what, error)) => Finding::fail(
            fact,
            release.clone(),
            format!("kernel {release} cannot {what}: {error}"),
            GIVE_NF_TABLES,
        ),
    }
}

fn bridge_family(trials: &[Trial]) -> Finding {
    let fact = Fact::BridgeFamily;
    match trials.iter().find(|trial| is_bridge_family(trial)).map(|trial| &trial.result) {
        Some(Ok(())) => Finding::ok(fact, "works", "nftables can guard bridge ports"),
        Some(Err(error)) => Finding::warn(
            fact,
            "missing",
            format!("nftables cannot guard bridge ports: {error}"),
            "policy holds, but a pod may send with another pod's address: load nf_tables_bridge, or use a kernel with \
             CONFIG_NF_TABLES_BRIDGE",
        ),
        None => Finding::warn(fact, "unknown", "not known, since the checks above failed", "mend them first"),
    }
}

fn release() -> String {
    nix::sys::utsname::uname()
        .map_or_else(|_| "of unknown release".into(), |u| u.release().to_string_lossy().into_owned())
}
