//! What has been announced of one kind: the keys, and for each a digest of what was said. The objects themselves are with
//! the loop; they are not kept twice.

use policy_model::{cluster::Change, object::ObjectKey};
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

/// The announced objects. With a digest of 64 bits under a secret key, two states of an object are the same in one case
/// out of 10^19, whoever makes them.
#[derive(Debug, Default)]
pub(super) struct Announced {
    /// Counts the lists that were begun.
    list: u32,
    objects: HashMap<ObjectKey, Object>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Object {
    /// The last list that it was seen in or after.
    list: u32,
    /// `None`: nothing that could be understood has been said.
    digest: Option<u64>,
}

impl Announced {
    /// A list begins. Nothing is forgotten before it is complete.
    pub(super) fn begin(&mut self) {
        self.list = self.list.wrapping_add(1);
    }

    /// The object is as the change says; `true` if that is news.
    pub(super) fn announce(&mut self, key: &ObjectKey, change: &Change) -> bool {
        let digest = Some(self.hasher.hash_one(change));
        let list = self.list;
        match self.objects.get_mut(key) {
            Some(known) => {
                known.list = list;
                std::mem::replace(&mut known.digest, digest) != digest
            }
            None => {
                self.objects.insert(key.clone(), Object { list, digest });
                true
            }
        }
    }

    /// The object is there, but cannot be understood: what it said before stays.
    pub(super) fn keep(&mut self, key: &ObjectKey) {
        let list = self.list;
        let object = self.objects.entry(key.clone()).or_insert(Object { list, digest: None });
        object.list = list;
    }

    /// The object is gone; `true` if it had been announced.
    pub(super) fn remove(&mut self, key: &ObjectKey) -> bool {
        self.objects.remove(key).is_some_and(|object| object.digest.is_some())
    }

    /// The list is complete: what was not in it is gone. Gives what had been announced of that.
    pub(super) fn complete(&mut self) -> Vec<ObjectKey> {
        let list = self.list;
        let gone = self.objects.extract_if(|_, object| object.list != list);
        let mut gone: Vec<ObjectKey> =
            gone.filter(|(_, object)| object.digest.is_some()).map(|(key, _)| key).collect();
        gone.sort();
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_model::{labels::Labels, object::Namespace};

    fn namespace(name: &str, label: &str) -> (ObjectKey, Change) {
        let labels: Labels = [("l", label)].into_iter().collect();
        (ObjectKey::new("", name), Change::Namespace(Namespace::new(name, &labels)))
    }

    fn announce(announced: &mut Announced, name: &str, label: &str) -> bool {
        let (key, change) = namespace(name, label);
        announced.announce(&key, &change)
    }

    fn names(keys: Vec<ObjectKey>) -> Vec<String> {
        keys.iter().map(|key| key.name.to_string()).collect()
    }

    #[test]
    fn only_what_differs_is_news() {
        let mut announced = Announced::default();
        announced.begin();
        assert!(announce(&mut announced, "a", "1"));
        assert!(!announce(&mut announced, "a", "1"));
        assert!(announce(&mut announced, "a", "2"));
        assert!(announced.remove(&namespace("a", "2").0));
        assert!(!announced.remove(&namespace("a", "2").0), "it is gone already");
        assert!(announce(&mut announced, "a", "2"), "it is new again");
    }

    #[test]
    fn only_a_complete_list_forgets() {
        let mut announced = Announced::default();
        announced.begin();
        for name in ["a", "b", "c"] {
            announce(&mut announced, name, "1");
        }
        assert!(announced.complete().is_empty());
        // This one is torn before its end.
        announced.begin();
        announce(&mut announced, "a", "1");
        announced.begin();
        announce(&mut announced, "b", "1");
        assert_eq!(names(announced.complete()), ["a", "c"]);
        announced.begin();
        assert_eq!(names(announced.complete()), ["b"]);
    }

    #[test]
    fn what_cannot_be_understood_keeps_what_it_said() {
        let mut announced = Announced::default();
        announced.begin();
        announce(&mut announced, "a", "1");
        announced.complete();
        announced.begin();
        announced.keep(&namespace("a", "").0);
        announced.keep(&namespace("never understood", "").0);
        assert!(announced.complete().is_empty());
        assert!(!announce(&mut announced, "a", "1"), "mended, and as it was");
        announced.begin();
        assert_eq!(names(announced.complete()), ["a"], "of what was never understood nothing had been said");
    }
}
