//! The encoder and the reader against the real kernel, each test in a network namespace of its own.

mod nft_support;

use compiler::ir::Ruleset;
use enforcer::nft::{Backend, Kernel};
use nft_support::*;

#[test]
fn every_statement_and_set_reads_back_as_it_was_loaded() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        let commit = kernel.commit(&from_nothing(&everything()), None).unwrap();
        let dump = assert_holds(&mut kernel, &everything());
        assert_eq!(dump.generation, commit.generation);
    });
}

#[test]
fn the_listing_loads_back_as_the_same_objects() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        kernel.commit(&from_nothing(&everything()), None).unwrap();
        let listing = nft(&["list", "ruleset"]);
        kernel.commit(&kernel_to_nothing(&everything()), None).unwrap();
        assert_eq!(nft(&["list", "ruleset"]), "");
        nft_load(&listing);
        assert_holds(&mut kernel, &everything());
    });
}

fn kernel_to_nothing(from: &Ruleset) -> compiler::delta::Delta {
    compiler::delta::diff(from, &Ruleset::default())
}
