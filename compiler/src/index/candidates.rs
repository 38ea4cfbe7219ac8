//! From an object's labels to the few selectors that could match it: each is filed under its most selective requirement.

use super::{Interner, Row, Symbol};
use policy_model::selector::{Requirement, Selector};
use std::{collections::HashMap, hash::Hash};

/// A requirement with its strings as symbols, values sorted. Each symbol counts as one use in the interner.
#[derive(Clone, Debug)]
enum Test {
    In(Symbol, Box<[Symbol]>),
    NotIn(Symbol, Box<[Symbol]>),
    Exists(Symbol),
    DoesNotExist(Symbol),
}

impl Test {
    fn holds(&self, labels: &[(Symbol, Symbol)]) -> bool {
        let value = |key: Symbol| labels.binary_search_by_key(&key, |&(k, _)| k).ok().map(|i| labels[i].1);
        match self {
            Self::In(key, values) => value(*key).is_some_and(|v| values.binary_search(&v).is_ok()),
            Self::NotIn(key, values) => value(*key).is_none_or(|v| values.binary_search(&v).is_err()),
            Self::Exists(key) => value(*key).is_some(),
            Self::DoesNotExist(key) => value(*key).is_none(),
        }
    }

    fn symbols(&self) -> impl Iterator<Item = Symbol> + '_ {
        let (key, values) = match self {
            Self::In(k, v) | Self::NotIn(k, v) => (*k, &**v),
            Self::Exists(k) | Self::DoesNotExist(k) => (*k, &[][..]),
        };
        std::iter::once(key).chain(values.iter().copied())
    }
}

/// A selector with its strings as symbols.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tests(Box<[Test]>);

impl Tests {
    pub(crate) fn new(selector: &Selector, interner: &mut Interner) -> Self {
        let tests = selector.requirements().iter().map(|requirement| {
            let key = interner.intern(requirement.key());
            let mut values = |values: &[std::sync::Arc<str>]| {
                let mut symbols: Vec<_> = values.iter().map(|v| interner.intern(v)).collect();
                symbols.sort_unstable();
                symbols.into()
            };
            match requirement {
                Requirement::In(_, v) => Test::In(key, values(v)),
                Requirement::NotIn(_, v) => Test::NotIn(key, values(v)),
                Requirement::Exists(_) => Test::Exists(key),
                Requirement::DoesNotExist(_) => Test::DoesNotExist(key),
            }
        });
        Self(tests.collect())
    }

    pub(crate) fn release(&self, interner: &mut Interner) {
        self.0.iter().flat_map(Test::symbols).for_each(|symbol| interner.release(symbol));
    }

    pub(crate) fn hold(&self, labels: &[(Symbol, Symbol)]) -> bool {
        self.0.iter().all(|test| test.holds(labels))
    }

    /// Every label key with the values of which an object must have one.
    pub(crate) fn required(&self) -> impl Iterator<Item = (Symbol, &[Symbol])> {
        self.0.iter().filter_map(|test| match test {
            Test::In(key, values) => Some((*key, &**values)),
            _ => None,
        })
    }

    /// The pairs, or else the key, of which an object must have one for the selector to match it.
    fn most_selective(&self) -> Drawer {
        if let Some((key, values)) = self.required().min_by_key(|(_, values)| values.len()) {
            return Drawer::Pairs(key, values.into());
        }
        let key = self.0.iter().find_map(|test| match test {
            Test::Exists(key) => Some(*key),
            _ => None,
        });
        key.map_or(Drawer::Rest, Drawer::Key)
    }
}

enum Drawer {
    Pairs(Symbol, Box<[Symbol]>),
    Key(Symbol),
    Rest,
}

/// Selectors by what an object must have to match: a label pair, a label key, or nothing in particular, each within one
/// namespace or (`None`) in all of them.
#[derive(Debug)]
pub(crate) struct Candidates<T> {
    pairs: HashMap<(Option<Symbol>, Symbol, Symbol), Vec<T>>,
    keys: HashMap<(Option<Symbol>, Symbol), Vec<T>>,
    rest: HashMap<Option<Symbol>, Vec<T>>,
}

impl<T> Default for Candidates<T> {
    fn default() -> Self {
        Self { pairs: HashMap::new(), keys: HashMap::new(), rest: HashMap::new() }
    }
}

impl<T: Copy + Eq> Candidates<T> {
    pub(crate) fn insert(&mut self, namespace: Option<Symbol>, tests: &Tests, id: T) {
        match tests.most_selective() {
            Drawer::Pairs(key, values) => {
                for &value in &values {
                    self.pairs.entry((namespace, key, value)).or_default().push(id);
                }
            }
            Drawer::Key(key) => self.keys.entry((namespace, key)).or_default().push(id),
            Drawer::Rest => self.rest.entry(namespace).or_default().push(id),
        }
    }

    pub(crate) fn remove(&mut self, namespace: Option<Symbol>, tests: &Tests, id: T) {
        fn take<K: Hash + Eq, T: Eq>(map: &mut HashMap<K, Vec<T>>, key: K, id: &T) {
            if let Some(list) = map.get_mut(&key) {
                list.retain(|other| other != id);
                if list.is_empty() {
                    map.remove(&key);
                }
            }
        }
        match tests.most_selective() {
            Drawer::Pairs(key, values) => {
                for &value in &values {
                    take(&mut self.pairs, (namespace, key, value), &id);
                }
            }
            Drawer::Key(key) => take(&mut self.keys, (namespace, key), &id),
            Drawer::Rest => take(&mut self.rest, namespace, &id),
        }
    }

    /// Every selector that could match an object of this namespace with these labels; each once.
    pub(crate) fn of<'a>(&'a self, namespace: Symbol, labels: &'a Row) -> impl Iterator<Item = T> + 'a {
        [None, Some(namespace)].into_iter().flat_map(move |scope| {
            let pairs = labels.iter().filter_map(move |&(k, v)| self.pairs.get(&(scope, k, v)));
            let keys = labels.iter().filter_map(move |&(k, _)| self.keys.get(&(scope, k)));
            pairs.chain(keys).chain(self.rest.get(&scope)).flatten().copied()
        })
    }
}
