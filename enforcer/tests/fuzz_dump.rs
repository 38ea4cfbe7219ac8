//! Fuzz target of the netlink dump parser: bytes that no kernel sends are refused or read, never a panic. `cargo test` runs
//! it on its corpus and on random input; `cargo dev fuzz dumps` searches with coverage.

use enforcer::nft::parse;

#[test]
fn dumps_never_panic() {
    bolero::check!().for_each(|input: &[u8]| {
        parse(input).ok();
    });
}
