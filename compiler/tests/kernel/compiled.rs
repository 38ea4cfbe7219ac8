//! What the compiler makes of whole clusters loads, as a ruleset and as the delta from nothing.

use crate::namespace;
use compiler::{
    Compiler, Event,
    config::{Config, Costs, Guards},
    delta::diff,
    ir::Ruleset,
    text::{self, Style},
};
use policy_model::strategies;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn compiled_clusters_load(cluster in strategies::cluster(), few: bool, [overlay, sources, routers, ethertypes]: [bool; 4]) {
        let costs = if few { Costs::default() } else { Costs { exact_ports: 1, shared_programs: 1, shared_elements: 1 } };
        let guards = Guards { overlay, sources, routers, ethertypes };
        let mut compiler = Compiler::new(Config { costs, guards, ..Config::new("w1", "cni0") });
        cluster.changes().for_each(|change| compiler.apply(Event::Cluster(change)));
        let _ = compiler.commit();
        let ruleset = compiler.ruleset();
        let texts = [text::ruleset(ruleset, Style::FULL), text::delta(&diff(&Ruleset::default(), ruleset), Style::FULL)];
        for loaded in texts {
            let listing = namespace::run("nft -f -; nft -a list ruleset", &loaded);
            prop_assert_eq!(namespace::listed_rules(&listing), namespace::rule_count(ruleset), "{}", loaded);
        }
    }
}
