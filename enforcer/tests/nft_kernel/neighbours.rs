//! Whose chains are on a host.

use crate::support::*;
use enforcer::nft::{ChainName, chains};

#[test]
fn chains_of_all_families_are_listed_by_name() {
    in_namespace(|| {
        assert_eq!(chains().unwrap(), []);
        nft_load("table ip kube-proxy { chain services { }; }\ntable bridge other { chain a { }; }");
        let chain = |table: &str, name: &str| ChainName { table: table.to_owned(), name: name.to_owned() };
        let mut found = chains().unwrap();
        found.sort();
        assert_eq!(found, [chain("kube-proxy", "services"), chain("other", "a")]);
    });
}
