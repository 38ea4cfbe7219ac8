//! Who replaces pods' addresses by the node's. A masqueraded pod is its node to every other node: no pod selector there
//! matches it.

use super::{Fact, Finding, GIVE_CAPABILITY, Host};
use crate::{fitness::Mark, nft::ChainName};

/// What is known of a chain that masquerades.
enum Known {
    /// It leaves traffic between pods alone.
    Spares(&'static str),
    /// It does not.
    Hits(&'static str),
}

/// Source: the chains' rules in flannel `pkg/trafficmngr`, kubernetes `pkg/proxy`, containernetworking/plugins `pkg/ip`
/// (`ipmasq_*.go`) and `plugins/meta/portmap`.
fn known(chain: &ChainName) -> Option<Known> {
    use Known::{Hits, Spares};
    let (table, name) = (chain.table.as_str(), chain.name.as_str());
    Some(match (table, name) {
        ("flannel-ipv4" | "flannel-ipv6", _) | (_, "FLANNEL-POSTRTG") => Spares("Flannel"),
        ("kube-proxy", _) | (_, "KUBE-POSTROUTING") => Spares("kube-proxy, marked packets"),
        ("cni_hostport", _) | (_, "CNI-HOSTPORT-MASQ") => Spares("host ports"),
        (_, "IP-MASQ" | "IP-MASQ-AGENT") => Spares("ip-masq-agent, as it is configured"),
        ("cni_plugins_masquerade", _) => Hits("the bridge plugin (ipMasq)"),
        (_, name) if name.starts_with("CNI-") => Hits("the bridge plugin (ipMasq)"),
        _ => return None,
    })
}

pub(super) fn masquerade(host: &Host) -> Finding {
    let Some(chains) = &host.masquerades else {
        let what = "not known: rules of nftables cannot be listed";
        return Finding::warn(Fact::Masquerade, "unknown", what, GIVE_CAPABILITY);
    };
    let mut finding = of_chains(chains);
    let by_flannel =
        host.subnet.as_ref().ok().and_then(Option::as_ref).is_some_and(|subnet| subnet.masquerades);
    if finding.mark == Mark::Ok && by_flannel && !finding.value.contains("Flannel") {
        finding.what.push_str("; Flannel's rules (FLANNEL_IPMASQ=true) are not seen in nftables");
    }
    finding
}

fn of_chains(chains: &[ChainName]) -> Finding {
    let fact = Fact::Masquerade;
    let (mut spares, mut hits, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for chain in chains {
        match known(chain) {
            Some(Known::Spares(who)) => spares.push(who.to_owned()),
            Some(Known::Hits(who)) => hits.push(who.to_owned()),
            None => others.push(format!("{} {}", chain.table, chain.name)),
        }
    }
    for names in [&mut spares, &mut hits, &mut others] {
        names.sort();
        names.dedup();
    }
    if !hits.is_empty() {
        return Finding::warn(
            fact,
            hits.join(", "),
            format!(
                "{} masquerades pods: to pods of other nodes they have this node's address",
                hits.join(", ")
            ),
            "no pod selector matches them there: set ipMasq false in the CNI configuration, and let flanneld masquerade \
             (--ip-masq), which spares traffic between pods",
        );
    }
    let others = if others.is_empty() {
        String::new()
    } else {
        format!("; also {}, whose rules are not known here", others.join(", "))
    };
    match spares.is_empty() {
        true => Finding::ok(fact, "none", format!("nobody masquerades traffic between pods{others}")),
        false => {
            let who = spares.join("; ");
            Finding::ok(fact, who.clone(), format!("traffic between pods is spared ({who}){others}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(chains: &[(&str, &str)]) -> Finding {
        let chain = |(table, name): &(&str, &str)| ChainName { table: (*table).into(), name: (*name).into() };
        of_chains(&chains.iter().map(chain).collect::<Vec<_>>())
    }

    #[test]
    fn who_masquerades_is_told() {
        assert_eq!(of(&[]).value, "none");
        let usual = of(&[("nat", "FLANNEL-POSTRTG"), ("kube-proxy", "masquerading")]);
        assert_eq!((usual.mark, usual.value.as_str()), (Mark::Ok, "Flannel; kube-proxy, marked packets"));
        let bridge = of(&[("nat", "CNI-f2c3d9d5b0"), ("nat", "FLANNEL-POSTRTG")]);
        assert_eq!(bridge.mark, Mark::Warn, "{bridge:?}");
        let docker = of(&[("nat", "POSTROUTING")]);
        assert!(docker.mark == Mark::Ok && docker.what.contains("also nat POSTROUTING"), "{docker:?}");
    }
}
