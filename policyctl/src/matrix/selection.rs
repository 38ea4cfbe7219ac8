//! Which kinds of pods a selector matches, without a walk over all of them.

use super::classes::Kind;
use policy_model::{
    cluster::Cluster,
    labels::Labels,
    selector::{Requirement, Selector},
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Kinds by label and by namespace.
pub(crate) struct Selection<'a> {
    kinds: &'a [Kind],
    by_label: HashMap<(&'a str, &'a str), Vec<usize>>,
    namespaces: BTreeMap<&'a str, (Cow<'a, Labels>, Vec<usize>)>,
}

/// The namespaces that a peer looks into.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    Own(Arc<str>),
    Labelled(Selector),
}

impl<'a> Selection<'a> {
    pub(crate) fn new(cluster: &'a Cluster, kinds: &'a [Kind]) -> Self {
        let mut by_label: HashMap<_, Vec<usize>> = HashMap::new();
        let mut namespaces = BTreeMap::new();
        for (index, kind) in kinds.iter().enumerate() {
            for (key, value) in kind.labels.iter() {
                by_label.entry((&**key, &**value)).or_default().push(index);
            }
            let (_, members) = namespaces
                .entry(&*kind.namespace)
                .or_insert_with(|| (cluster.namespace_labels(&kind.namespace), Vec::new()));
            members.push(index);
        }
        Self { kinds, by_label, namespaces }
    }

    /// The kinds that match, each once.
    pub(crate) fn matching(&self, scope: &Scope, pods: &Selector) -> Vec<usize> {
        let in_scope = |namespace: &str| match scope {
            Scope::Own(own) => **own == *namespace,
            Scope::Labelled(selector) => {
                self.namespaces.get(namespace).is_some_and(|(labels, _)| selector.matches(labels))
            }
        };
        let is_match = |index: &usize| pods.matches(&self.kinds[*index].labels);
        match self.labelled(pods) {
            Some(candidates) => {
                candidates.filter(|i| in_scope(&self.kinds[*i].namespace) && is_match(i)).collect()
            }
            None => {
                let namespaces = self.namespaces.iter().filter(|(namespace, _)| in_scope(namespace));
                namespaces.flat_map(|(_, (_, members))| members).copied().filter(is_match).collect()
            }
        }
    }

    /// The kinds with one of the values that a selector asks for; `None` if it asks for no value.
    fn labelled<'b>(&'b self, pods: &'b Selector) -> Option<impl Iterator<Item = usize> + 'b> {
        // A kind has one value of a key, so it comes once.
        let count = |key: &str, values: &[Arc<str>]| {
            values.iter().map(|value| self.by_label.get(&(key, &**value)).map_or(0, Vec::len)).sum::<usize>()
        };
        let asked = pods.requirements().iter().filter_map(|requirement| match requirement {
            Requirement::In(key, values) => Some((key, values)),
            _ => None,
        });
        let (key, values) = asked.min_by_key(|(key, values)| count(key, values))?;
        Some(values.iter().filter_map(move |value| self.by_label.get(&(&**key, &**value))).flatten().copied())
    }
}
