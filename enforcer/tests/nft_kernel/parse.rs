//! The parser of dumps on bytes that no kernel sends: it may refuse them, it may not panic.

use crate::{rulesets::everything, support::*};
use enforcer::nft::{Error, encode, parse};
use proptest::{collection::vec, prelude::*, sample::Index};

fn dump() -> Vec<u8> {
    encode(&from_nothing(&everything())).unwrap()
}

#[test]
fn a_dump_is_parsed_without_a_kernel() {
    let dump = parse(&dump()).unwrap();
    assert_eq!(dump.foreign, []);
    assert_same(&dump.ruleset, &everything());
}

#[test]
fn every_truncation_is_refused_or_is_a_part() {
    let whole = dump();
    for len in (0..whole.len()).step_by(7) {
        // An odd step, so that cuts fall everywhere within messages, attributes and numbers.
        match parse(&whole[..len]) {
            Ok(part) => assert!(part.foreign.is_empty(), "{len}: {:?}", part.foreign),
            Err(Error::Malformed(_)) => {}
            Err(other) => panic!("{len}: {other}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_never_panic(changes in vec((any::<Index>(), any::<u8>()), 1..40)) {
        let mut bytes = dump();
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        parse(&bytes).ok();
    }

    #[test]
    fn moved_pieces_never_panic(pieces in vec((any::<Index>(), any::<Index>(), 0usize..600), 1..8)) {
        let mut bytes = dump();
        for (from, to, len) in pieces {
            let from = from.index(bytes.len());
            let piece = bytes[from..(from + len).min(bytes.len())].to_vec();
            let to = to.index(bytes.len());
            bytes.splice(to..(to + piece.len() / 2).min(bytes.len()), piece);
        }
        parse(&bytes).ok();
    }

    #[test]
    fn any_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        parse(&bytes).ok();
    }
}
