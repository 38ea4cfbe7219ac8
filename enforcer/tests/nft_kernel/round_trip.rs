//! What is loaded is what is read back, and what nft lists.

use crate::{rulesets::everything, support::*};
use enforcer::nft::{Backend, Kernel};

#[test]
fn every_statement_and_set_reads_back_as_it_was_loaded() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        let commit = kernel.commit(&from_nothing(&everything()), None).unwrap();
        let dump = assert_holds(&mut kernel, &everything());
        assert_eq!(dump.generation, commit.generation);
    });
}

/// What nft says of the kernel's own expressions and elements, without what differs from load to load: handles, and the
/// order of elements.
fn netlink_view() -> Vec<String> {
    let text = nft(&["--debug=netlink", "-n", "list", "ruleset"]);
    let (elements, rest): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with('\t'));
    let mut elements: Vec<_> = elements.into_iter().map(str::to_owned).collect();
    elements.sort();
    let without_handles = |line: &str| {
        let is_rule = line.starts_with("inet palisade ") || line.starts_with("bridge palisade ");
        if is_rule { line.split(' ').take(3).collect::<Vec<_>>().join(" ") } else { line.to_owned() }
    };
    elements.into_iter().chain(rest.into_iter().map(without_handles)).collect()
}

#[test]
fn the_listing_loads_back_as_the_same_objects() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        kernel.commit(&from_nothing(&everything()), None).unwrap();
        let (listing, ours) = (nft(&["list", "ruleset"]), netlink_view());
        kernel.commit(&to_nothing(&everything()), None).unwrap();
        assert_eq!(nft(&["list", "ruleset"]), "", "two deleted tables leave nothing");
        nft_load(&listing);
        assert_holds(&mut kernel, &everything());
        assert_eq!(nft(&["list", "ruleset"]), listing);
        assert_eq!(netlink_view(), ours);
    });
}

#[test]
fn the_compilers_fixed_chains_read_back_and_list() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        let ruleset = compiler::skeleton::ruleset(&compiler::config::Config::new("node-1", "cni0"));
        kernel.commit(&from_nothing(&ruleset), None).unwrap();
        let listing = nft(&["list", "ruleset"]);
        assert_holds(&mut kernel, &ruleset);
        kernel.commit(&to_nothing(&ruleset), None).unwrap();
        nft_load(&listing);
        assert_holds(&mut kernel, &ruleset);
    });
}

/// Statements as a reader of the listing sees them.
#[test]
fn the_listing_is_readable() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        kernel.commit(&from_nothing(&everything()), None).unwrap();
        let listing = nft(&["list", "ruleset"]);
        for line in [
            r#"10.244.1.2 comment "default/a" : goto out-1-o4"#,
            "ip saddr vmap @egress4-o",
            "ip daddr . meta l4proto . th dport @out-1-x4 return",
            "ip daddr @whole4 udp dport 8000-8100 return",
            "ct state related icmp type != redirect return",
            "ip6 hoplimit 255 icmpv6 type @nd return",
            "ip6 hoplimit 1 ip6 daddr ff00::/8 icmpv6 type mld2-listener-report return",
            "tcp flags != syn / fin,syn,rst,ack jump out-1-o4",
            r#"limit rate 10/second burst 20 packets log prefix "palisade deny " group 1986"#,
            "type filter hook input priority filter - 5; policy accept;",
            "iif . ether saddr . ip saddr @own4 return",
            "iif . @th,64,128 != @na6",
            "typeof iif . @th,64,128",
            "arp saddr ip 0.0.0.0 arp operation request return",
        ] {
            assert!(listing.contains(line), "{line:?} is not in\n{listing}");
        }
    });
}
