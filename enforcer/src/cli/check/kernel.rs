//! What this kernel can do, and what it lets us do.

use super::{super::preflight, line::Line};
use crate::nft::{Error, Finding};

pub(super) fn privileges(findings: &[Finding]) -> Line {
    let name = "privileges";
    if findings.iter().any(|finding| matches!(finding.result, Err(Error::Permission))) {
        Line::fail(name, "CAP_NET_ADMIN is missing in this network namespace", preflight::GIVE_CAPABILITY)
    } else {
        Line::ok(name, "CAP_NET_ADMIN in this network namespace")
    }
}

pub(super) fn nf_tables(findings: &[Finding]) -> Line {
    let name = "nf_tables";
    let failed = findings.iter().filter(|f| !preflight::is_bridge_family(f)).find_map(|f| match &f.result {
        Err(error) => Some((f.what, error)),
        Ok(()) => None,
    });
    match failed {
        None => Line::ok(name, format!("kernel {}, with all that the ruleset uses", release())),
        Some((_, Error::Permission)) => Line::fail(
            name,
            "not known: the kernel answers nobody without CAP_NET_ADMIN",
            preflight::GIVE_CAPABILITY,
        ),
        Some((what, error)) => Line::fail(
            name,
            format!("kernel {} cannot {what}: {error}", release()),
            preflight::GIVE_NF_TABLES,
        ),
    }
}

pub(super) fn bridge_family(findings: &[Finding]) -> Line {
    let name = "bridge family";
    match findings.iter().find(|finding| preflight::is_bridge_family(finding)).map(|f| &f.result) {
        Some(Ok(())) => Line::ok(name, "nftables can guard bridge ports"),
        Some(Err(error)) => Line::warn(
            name,
            format!("nftables cannot guard bridge ports: {error}"),
            "policy holds, but a pod may send with another pod's address: load nf_tables_bridge, or use a kernel with \
             CONFIG_NF_TABLES_BRIDGE",
        ),
        None => Line::warn(name, "not known, since the checks above failed", "mend them first"),
    }
}

fn release() -> String {
    nix::sys::utsname::uname()
        .map_or_else(|_| "of unknown release".into(), |u| u.release().to_string_lossy().into_owned())
}
