//! Words that many objects share, kept once: label keys and values, namespaces, nodes, port names.

use policy_model::object::{NamedPort, ObjectKey, Owner, Pod};
use std::{collections::HashSet, sync::Arc};

/// Below this many words nothing is swept.
const FEW: usize = 1024;

/// The words in use. One that nobody else holds goes in the next sweep.
#[derive(Debug)]
pub(super) struct Interner {
    words: HashSet<Arc<str>>,
    sweep_at: usize,
}

impl Default for Interner {
    fn default() -> Self {
        Self { words: HashSet::new(), sweep_at: FEW }
    }
}

impl Interner {
    /// The same pod made of shared words. Its own name is nobody else's.
    pub(super) fn pod(&mut self, pod: Pod) -> Pod {
        let labels = pod.labels.iter().map(|(key, value)| (self.word(key), self.word(value))).collect();
        let owner =
            pod.owner.map(|owner| Owner { kind: self.word(&owner.kind), name: self.word(&owner.name) });
        let ports = pod.ports.into_iter().map(|port| NamedPort { name: self.word(&port.name), ..port });
        let mut ports: Vec<NamedPort> = ports.collect();
        // It has the room of what it was collected from: four ports, where most pods have one.
        ports.shrink_to_fit();
        let key = ObjectKey { namespace: self.word(&pod.key.namespace), name: pod.key.name };
        Pod { key, labels, node: pod.node.map(|node| self.word(&node)), ports, owner, ..pod }
    }

    /// The same word, shared.
    pub(super) fn word(&mut self, word: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.words.get(word) {
            return known.clone();
        }
        if self.words.len() >= self.sweep_at {
            self.words.retain(|word| Arc::strong_count(word) > 1);
            self.sweep_at = FEW.max(2 * self.words.len());
        }
        self.words.insert(word.clone());
        word.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_words_are_one_and_unused_ones_go() {
        let mut interner = Interner::default();
        let (a, b) = (interner.word(&"app".into()), interner.word(&"app".into()));
        assert!(Arc::ptr_eq(&a, &b));
        for i in 0..10 * FEW {
            interner.word(&i.to_string().into());
        }
        assert!(interner.words.len() <= FEW, "{} words", interner.words.len());
        assert!(Arc::ptr_eq(&a, &interner.word(&"app".into())), "it is in use");
    }
}
