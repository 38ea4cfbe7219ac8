//! Which layout the tables in the kernel are of: a number, raised when an older `policyd` could not replace them piece by piece.
//!
//! A chain of ours called `layout-N` says it. The first layout, which is the only one so far, has no such chain.

use super::ChainName;
use compiler::ir::TABLE;

/// What this `policyd` makes and can replace.
const KNOWN: u64 = 1;
const MARK: &str = "layout-";

/// The mark of a layout that a later `policyd` has made, if there is one.
#[must_use]
pub fn unknown(chains: &[ChainName]) -> Option<&str> {
    let marks =
        chains.iter().filter(|chain| chain.table == TABLE).filter_map(|chain| chain.name.strip_prefix(MARK));
    marks.into_iter().find(|mark| mark.parse::<u64>().map_or(true, |number| number > KNOWN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_layout_is_known_by_its_mark() {
        let chain = |table: &str, name: &str| ChainName { table: table.into(), name: name.into() };
        let mut chains =
            vec![chain("palisade", "forward"), chain("filter", "layout-7"), chain("palisade", "layout-1")];
        assert_eq!(unknown(&chains), None);
        chains.push(chain("palisade", "layout-2"));
        assert_eq!(unknown(&chains), Some("2"));
        assert_eq!(unknown(&[chain("palisade", "layout-2b")]), Some("2b"));
    }
}
