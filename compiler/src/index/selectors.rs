//! Peer selectors in use, each once, with the pods that it selects.

use super::{Candidates, Interner, Postings, Row, Symbol, candidates::Tests};
use crate::ir::Name;
use policy_model::selector::Selector;
use roaring::RoaringBitmap;
use slab::Slab;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// Which namespaces a peer selector looks into.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The one namespace of the policy.
    Namespace(Arc<str>),
    /// Every namespace with such labels.
    Namespaces(Selector),
}

/// A peer selector as policies mean it: two peers that say the same are one selector, wherever they stand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SelectorKey {
    /// Where.
    pub scope: Scope,
    /// Which pods there.
    pub pods: Selector,
}

pub(crate) type SelectorId = u32;
type NamespaceSelectorId = u32;

/// What the index must know of a pod.
#[derive(Debug)]
pub(crate) struct PodRow<'a> {
    pub(crate) namespace: Symbol,
    pub(crate) labels: &'a Row,
}

#[derive(Debug)]
enum ScopeRef {
    Namespace(Symbol),
    Namespaces(NamespaceSelectorId),
}

/// One peer selector in use.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Arc<SelectorKey>,
    scope: ScopeRef,
    tests: Tests,
    /// Pods that it selects.
    pub(crate) members: RoaringBitmap,
    /// Programs that have it as a peer.
    pub(crate) programs: BTreeSet<u32>,
    /// Where its members stand, if that is one set of each family that all those programs share.
    pub(crate) shared: Option<[Name; 2]>,
}

#[derive(Debug)]
struct NamespaceSelector {
    selector: Selector,
    tests: Tests,
    namespaces: BTreeSet<Symbol>,
    users: BTreeSet<SelectorId>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Selectors {
    entries: Slab<Entry>,
    by_key: HashMap<Arc<SelectorKey>, SelectorId>,
    candidates: Candidates<SelectorId>,
    namespace_selectors: Slab<NamespaceSelector>,
    by_namespace_selector: HashMap<Selector, NamespaceSelectorId>,
}

impl Selectors {
    pub(crate) fn get(&self, id: SelectorId) -> Option<&Entry> {
        self.entries.get(id as usize)
    }

    pub(crate) fn get_mut(&mut self, id: SelectorId) -> Option<&mut Entry> {
        self.entries.get_mut(id as usize)
    }

    pub(crate) fn find(&self, key: &SelectorKey) -> Option<SelectorId> {
        self.by_key.get(key).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Makes a selector, yet without members. `namespaces` are all there are, with their labels.
    pub(crate) fn add<'a>(
        &mut self,
        key: SelectorKey,
        interner: &mut Interner,
        namespaces: impl Iterator<Item = (Symbol, &'a Row)>,
    ) -> SelectorId {
        let tests = Tests::new(&key.pods, interner);
        let scope = match &key.scope {
            Scope::Namespace(name) => ScopeRef::Namespace(interner.intern(name)),
            Scope::Namespaces(selector) => {
                ScopeRef::Namespaces(self.namespace_selector(selector, interner, namespaces))
            }
        };
        let key = Arc::new(key);
        let id = self.entries.vacant_key() as SelectorId;
        match scope {
            ScopeRef::Namespace(name) => self.candidates.insert(Some(name), &tests, id),
            ScopeRef::Namespaces(selector) => {
                self.candidates.insert(None, &tests, id);
                self.namespace_selectors[selector as usize].users.insert(id);
            }
        }
        self.by_key.insert(key.clone(), id);
        self.entries.insert(Entry {
            key,
            scope,
            tests,
            members: RoaringBitmap::new(),
            programs: BTreeSet::new(),
            shared: None,
        });
        id
    }

    fn namespace_selector<'a>(
        &mut self,
        selector: &Selector,
        interner: &mut Interner,
        namespaces: impl Iterator<Item = (Symbol, &'a Row)>,
    ) -> NamespaceSelectorId {
        if let Some(&id) = self.by_namespace_selector.get(selector) {
            return id;
        }
        let tests = Tests::new(selector, interner);
        let namespaces = namespaces.filter(|(_, labels)| tests.hold(labels)).map(|(name, _)| name).collect();
        let entry =
            NamespaceSelector { selector: selector.clone(), tests, namespaces, users: BTreeSet::new() };
        let id = self.namespace_selectors.insert(entry) as NamespaceSelectorId;
        self.by_namespace_selector.insert(selector.clone(), id);
        id
    }

    /// Forgets a selector that no program uses any more; gives back the members it had.
    pub(crate) fn remove(&mut self, id: SelectorId, interner: &mut Interner) -> RoaringBitmap {
        let Some(entry) = self.entries.try_remove(id as usize) else { return RoaringBitmap::new() };
        self.by_key.remove(&entry.key);
        match entry.scope {
            ScopeRef::Namespace(name) => {
                self.candidates.remove(Some(name), &entry.tests, id);
                interner.release(name);
            }
            ScopeRef::Namespaces(selector) => {
                self.candidates.remove(None, &entry.tests, id);
                let users = &mut self.namespace_selectors[selector as usize].users;
                users.remove(&id);
                if users.is_empty() {
                    let gone = self.namespace_selectors.remove(selector as usize);
                    gone.tests.release(interner);
                    self.by_namespace_selector.remove(&gone.selector);
                }
            }
        }
        entry.tests.release(interner);
        entry.members
    }

    /// The fewest pods that are certain to hold all members of a selector, if its labels narrow them down to less than
    /// `most`.
    pub(crate) fn narrowed(&self, id: SelectorId, postings: &Postings, most: u64) -> Option<RoaringBitmap> {
        let required = self.get(id)?.tests.required();
        let lists = required.map(|(key, values)| postings.with(key, values));
        let (_, pods) = lists.min_by_key(|(count, _)| *count).filter(|(count, _)| *count < most)?;
        Some(pods())
    }

    /// The namespaces that a selector looks into.
    pub(crate) fn namespaces_of(&self, id: SelectorId) -> Vec<Symbol> {
        match self.get(id).map(|entry| &entry.scope) {
            Some(ScopeRef::Namespace(name)) => vec![*name],
            Some(ScopeRef::Namespaces(selector)) => {
                self.namespace_selectors[*selector as usize].namespaces.iter().copied().collect()
            }
            None => Vec::new(),
        }
    }

    /// Whether a selector selects a pod.
    pub(crate) fn selects(&self, id: SelectorId, pod: &PodRow<'_>) -> bool {
        let Some(entry) = self.get(id) else { return false };
        let in_scope = match entry.scope {
            ScopeRef::Namespace(name) => name == pod.namespace,
            ScopeRef::Namespaces(selector) => {
                self.namespace_selectors[selector as usize].namespaces.contains(&pod.namespace)
            }
        };
        in_scope && entry.tests.hold(pod.labels)
    }

    /// Every selector that selects a pod, sorted.
    pub(crate) fn matching(&self, pod: &PodRow<'_>) -> Vec<SelectorId> {
        let mut ids: Vec<_> =
            self.candidates.of(pod.namespace, pod.labels).filter(|&id| self.selects(id, pod)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// A namespace has come, changed its labels or (`None`) gone. Gives the selectors whose members of that namespace must
    /// be looked at again.
    pub(crate) fn namespace_changed(&mut self, name: Symbol, labels: Option<&Row>) -> Vec<SelectorId> {
        let mut touched = Vec::new();
        for (_, selector) in &mut self.namespace_selectors {
            let matches = labels.is_some_and(|labels| selector.tests.hold(labels));
            let changed =
                if matches { selector.namespaces.insert(name) } else { selector.namespaces.remove(&name) };
            if changed {
                touched.extend(&selector.users);
            }
        }
        touched
    }
}
