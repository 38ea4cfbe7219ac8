//! Rights and kernel features that the labs need. Each is tried in a network namespace that ends with the try.

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// A kernel feature, and the command that works only with it, run in a fresh network namespace.
struct Feature {
    name: &'static str,
    command: &'static [&'static str],
    /// Kernel options to look for when it fails.
    remedy: &'static str,
}

const FEATURES: &[Feature] = &[
    Feature {
        name: "nf_tables with conntrack and log",
        command: &[
            "nft",
            "add table inet t; add chain inet t c { type filter hook forward priority 0; }; \
             add rule inet t c ct direction reply log group 1986",
        ],
        remedy: "needs CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET, CONFIG_NFT_CT and CONFIG_NFT_LOG",
    },
    Feature {
        name: "nf_tables for bridges",
        command: &[
            "nft",
            "add table bridge t; add chain bridge t c { type filter hook prerouting priority 0; }; \
             add rule bridge t c ether type arp counter",
        ],
        remedy: "needs CONFIG_NF_TABLES_BRIDGE",
    },
    Feature {
        name: "nat, for the labs' Services",
        command: &[
            "nft",
            "add table inet t; add chain inet t c { type nat hook postrouting priority 100; }; \
             add rule inet t c masquerade",
        ],
        remedy: "needs CONFIG_NFT_NAT and CONFIG_NFT_MASQ",
    },
    Feature {
        name: "veth",
        command: &["ip", "link", "add", "try0", "type", "veth", "peer", "name", "try1"],
        remedy: "needs CONFIG_VETH",
    },
    Feature {
        name: "bridge",
        command: &["ip", "link", "add", "try0", "type", "bridge"],
        remedy: "needs CONFIG_BRIDGE",
    },
    Feature {
        name: "vxlan",
        command: &["ip", "link", "add", "try0", "type", "vxlan", "id", "1", "dstport", "8472"],
        remedy: "needs CONFIG_VXLAN",
    },
];

/// Bits of `CapEff` in proc(5), from `linux/capability.h`.
const CAPABILITIES: [(&str, u32); 2] = [("CAP_NET_ADMIN", 12), ("CAP_SYS_ADMIN", 21)];

/// Runs every check, prints a line for each, and says how many failed.
pub(super) fn check() -> usize {
    let mut failed = 0;
    let mut report = |name: &str, result: Result<(), String>| match result {
        Ok(()) => println!("ok    {name}"),
        Err(reason) => {
            println!("FAIL  {name}: {reason}");
            failed += 1;
        }
    };
    for (name, bit) in CAPABILITIES {
        let held = has_capability(bit);
        report(name, held.then_some(()).ok_or_else(|| "not held; run this as root".to_owned()));
    }
    report("br_netfilter", br_netfilter());
    let v6 = Path::new("/proc/sys/net/ipv6").exists();
    report(
        "ipv6",
        v6.then_some(()).ok_or_else(|| "the kernel runs without IPv6; the labs are dual stack".to_owned()),
    );
    for feature in FEATURES {
        report(feature.name, try_feature(feature));
    }
    failed
}

fn has_capability(bit: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    mask >> bit & 1 == 1
}

/// The module brings its sysctls with it: they are the proof that it is there.
fn br_netfilter() -> Result<(), String> {
    let sysctl = Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables");
    if sysctl.exists() {
        return Ok(());
    }
    let loaded = Command::new("modprobe").arg("br_netfilter").stdin(Stdio::null()).output();
    match loaded {
        _ if sysctl.exists() => Ok(()),
        Ok(output) => Err(format!(
            "not loaded, and `modprobe br_netfilter` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(format!("not loaded, and modprobe cannot be run: {error}")),
    }
}

fn try_feature(feature: &Feature) -> Result<(), String> {
    let output = Command::new("unshare")
        .args(["--net", "--"])
        .args(feature.command)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run unshare: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{} ({})", feature.remedy, stderr.lines().next().unwrap_or("no message")))
}
