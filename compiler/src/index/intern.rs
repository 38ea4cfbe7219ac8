//! Strings as small numbers, counted, so that labels of pods long gone do not pile up.

use super::Row;
use policy_model::labels::Labels;
use slab::Slab;
use std::{collections::HashMap, sync::Arc};

/// A string that occurs in some label, name or selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Symbol(u32);

impl Symbol {
    pub(crate) const MIN: Self = Self(0);
    pub(crate) const MAX: Self = Self(u32::MAX);
}

/// Every interned string with the number of its uses.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    strings: Slab<(Arc<str>, u32)>,
    symbols: HashMap<Arc<str>, Symbol>,
}

impl Interner {
    /// The symbol of a string, with one use more. Give it back with [`Self::release`].
    pub(crate) fn intern(&mut self, string: &Arc<str>) -> Symbol {
        if let Some(&symbol) = self.symbols.get(string) {
            if let Some((_, uses)) = self.strings.get_mut(symbol.0 as usize) {
                *uses += 1;
            }
            return symbol;
        }
        let symbol = Symbol(self.strings.insert((string.clone(), 1)) as u32);
        self.symbols.insert(string.clone(), symbol);
        symbol
    }

    /// The symbol of a string that somebody else uses; `None` if nobody does.
    pub(crate) fn find(&self, string: &str) -> Option<Symbol> {
        self.symbols.get(string).copied()
    }

    pub(crate) fn release(&mut self, symbol: Symbol) {
        let Some((string, uses)) = self.strings.get_mut(symbol.0 as usize) else { return };
        *uses -= 1;
        if *uses == 0 {
            self.symbols.remove(string);
            self.strings.remove(symbol.0 as usize);
        }
    }

    pub(crate) fn string(&self, symbol: Symbol) -> Arc<str> {
        self.strings.get(symbol.0 as usize).map_or_else(|| Arc::from(""), |(string, _)| string.clone())
    }

    pub(crate) fn intern_labels(&mut self, labels: &Labels) -> Row {
        let mut row: Vec<_> = labels.iter().map(|(k, v)| (self.intern(k), self.intern(v))).collect();
        row.sort_unstable();
        row.into()
    }

    pub(crate) fn release_labels(&mut self, row: &Row) {
        for &(key, value) in row {
            self.release(key);
            self.release(value);
        }
    }

    /// How many different strings are in use.
    pub(crate) fn len(&self) -> usize {
        self.strings.len()
    }
}
