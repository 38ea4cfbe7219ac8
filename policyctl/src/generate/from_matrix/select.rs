//! Label selectors that tell given pods from others.
//!
//! A selector is a conjunction, so for a group of pods there is a tightest one: of every key the narrowest requirement that all
//! of the group meet. A group can be selected if its tightest selector matches nobody who must not be matched; of its
//! requirements the fewest that still do so are kept.

use policy_model::{
    labels::Labels,
    object::NAMESPACE_NAME_LABEL,
    selector::{Requirement, Selector},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What selectors can see of a kind of pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Subject {
    pub(super) namespace: Arc<str>,
    /// Of the namespace.
    pub(super) around: Labels,
    /// Of the pod.
    pub(super) labels: Labels,
}

/// Whose label a requirement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Space {
    Namespace,
    Pod,
}

/// The two selectors of a peer; a policy's own selector is the second.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Selectors {
    pub(super) namespaces: Selector,
    pub(super) pods: Selector,
}

/// Everybody who can be selected, by number.
pub(super) struct Universe<'a> {
    subjects: &'a [Subject],
    keys: Vec<(Space, Arc<str>)>,
}

type Set = BTreeSet<usize>;

/// Labels that controllers set and change; they tell pods of one workload apart, and are of use to nobody else.
const VOLATILE: [&str; 9] = [
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/job-name",
    "batch.kubernetes.io/controller-uid",
    "job-name",
    "controller-uid",
];

/// Labels that people name workloads by, the best first.
const NAMES: [&str; 6] =
    ["app.kubernetes.io/name", "app", "k8s-app", "name", "component", "app.kubernetes.io/component"];

impl<'a> Universe<'a> {
    pub(super) fn new(subjects: &'a [Subject]) -> Self {
        let keys = subjects.iter().flat_map(|subject| {
            let around = subject.around.iter().map(|(key, _)| (Space::Namespace, key.clone()));
            around.chain(subject.labels.iter().map(|(key, _)| (Space::Pod, key.clone())))
        });
        let mut keys: Vec<_> = keys.collect::<BTreeSet<_>>().into_iter().collect();
        keys.sort_by_key(|(space, key)| rank(*space, key));
        Self { subjects, keys }
    }

    /// Selectors that together match all of `required` and nobody outside `allowed`, of those in `within`.
    pub(super) fn cover(&self, required: &Set, allowed: &Set, within: &Set) -> Vec<Selectors> {
        let forbidden: Set = within.difference(allowed).copied().collect();
        let required = self.with_whole_namespaces(required, allowed, within);
        let mut left = required.clone();
        let mut found = Vec::new();
        while let Some(first) = left.first().copied() {
            // All at once if that can be, else as many as can be, beginning with those that are most alike.
            let mut group = left.clone();
            if !self.can_select(&group, &forbidden) {
                group = [first].into();
                let mut others: Vec<usize> =
                    required.iter().copied().filter(|other| *other != first).collect();
                others.sort_by_key(|other| std::cmp::Reverse(self.alike(first, *other)));
                for other in others {
                    group.insert(other);
                    if !self.can_select(&group, &forbidden) {
                        group.remove(&other);
                    }
                }
            }
            left = left.difference(&group).copied().collect();
            found.push(self.select(&group, &forbidden, within));
        }
        found
    }

    /// Where a whole namespace is allowed and more than one of it is required, all of it is meant.
    fn with_whole_namespaces(&self, required: &Set, allowed: &Set, within: &Set) -> Set {
        let mut members: BTreeMap<&str, Set> = BTreeMap::new();
        for subject in within {
            members.entry(&self.subjects[*subject].namespace).or_default().insert(*subject);
        }
        let whole = members
            .into_values()
            .filter(|members| members.is_subset(allowed) && members.intersection(required).nth(1).is_some());
        whole.fold(required.clone(), |all, members| all.union(&members).copied().collect())
    }

    fn value(&self, subject: usize, (space, key): &(Space, Arc<str>)) -> Option<&Arc<str>> {
        let subject = &self.subjects[subject];
        match space {
            Space::Namespace => subject.around.get(key),
            Space::Pod => subject.labels.get(key),
        }
    }

    fn alike(&self, a: usize, b: usize) -> usize {
        self.keys
            .iter()
            .filter(|key| self.value(a, key).is_some() && self.value(a, key) == self.value(b, key))
            .count()
    }

    /// The narrowest requirement on a key that all of a group meet, if there is one that anybody fails.
    fn tightest(&self, group: &Set, key: &(Space, Arc<str>)) -> Option<Requirement> {
        let values: BTreeSet<&Arc<str>> =
            group.iter().filter_map(|subject| self.value(*subject, key)).collect();
        let with = group.iter().filter(|subject| self.value(**subject, key).is_some()).count();
        let name = key.1.clone();
        if with == group.len() {
            return Some(Requirement::In(name, values.into_iter().cloned().collect()));
        }
        if with == 0 {
            return Some(Requirement::DoesNotExist(name));
        }
        let all = (0..self.subjects.len()).filter_map(|subject| self.value(subject, key));
        let others: BTreeSet<Arc<str>> = all.filter(|value| !values.contains(value)).cloned().collect();
        (!others.is_empty()).then(|| Requirement::NotIn(name, others.into_iter().collect()))
    }

    fn meets(&self, subject: usize, space: Space, requirement: &Requirement) -> bool {
        let subject = &self.subjects[subject];
        match space {
            Space::Namespace => requirement.matches(&subject.around),
            Space::Pod => requirement.matches(&subject.labels),
        }
    }

    fn can_select(&self, group: &Set, forbidden: &Set) -> bool {
        let all: Vec<_> =
            self.keys.iter().filter_map(|key| Some((key.0, self.tightest(group, key)?))).collect();
        forbidden.iter().all(|subject| all.iter().any(|(space, one)| !self.meets(*subject, *space, one)))
    }

    /// The fewest requirements of the tightest selector that leave the forbidden out.
    fn select(&self, group: &Set, forbidden: &Set, within: &Set) -> Selectors {
        let candidates: Vec<(Space, Requirement)> =
            self.keys.iter().filter_map(|key| Some((key.0, self.tightest(group, key)?))).collect();
        let mut chosen: Vec<&(Space, Requirement)> = Vec::new();
        let excluded = |one: &(Space, Requirement), of: &Set| {
            of.iter().filter(|subject| !self.meets(**subject, one.0, &one.1)).copied().collect::<Set>()
        };
        let mut left = forbidden.clone();
        // Pods of other namespaces stay out by the namespaces' names, unless everybody is meant, so that a namespace
        // that comes later does not get in.
        let is_everybody = group == within;
        let by_name = candidates
            .iter()
            .find(|(space, one)| *space == Space::Namespace && &**one.key() == NAMESPACE_NAME_LABEL);
        if let Some(by_name) = by_name.filter(|_| !is_everybody) {
            left = left.difference(&excluded(by_name, &left)).copied().collect();
            chosen.push(by_name);
        }
        while !left.is_empty() {
            // Keys are in the order of their use to people; the first of the best is taken.
            let scored = candidates.iter().map(|one| (excluded(one, &left).len(), one));
            let best = scored.fold(None, |best: Option<(usize, _)>, (score, one)| match best {
                Some((most, _)) if most >= score => best,
                _ => Some((score, one)),
            });
            let Some((_, one)) = best.filter(|(score, _)| *score > 0) else { break };
            left = left.difference(&excluded(one, &left)).copied().collect();
            chosen.push(one);
        }
        // What is selected by what it is not would let every new pod in. A whole namespace is meant as a whole, though.
        let has_anchor =
            chosen.iter().any(|(space, one)| *space == Space::Pod && matches!(one, Requirement::In(..)));
        if !has_anchor && !self.is_whole(group, within) {
            let anchor = candidates
                .iter()
                .find(|(space, one)| *space == Space::Pod && matches!(one, Requirement::In(..)));
            chosen.extend(anchor);
        }
        let of = |wanted: Space| {
            Selector::new(chosen.iter().filter(|(space, _)| *space == wanted).map(|(_, one)| one.clone()))
        };
        Selectors { namespaces: of(Space::Namespace), pods: of(Space::Pod) }
    }

    /// Whether a group is all of its namespaces, and each of these has more than one kind of pod.
    fn is_whole(&self, group: &Set, within: &Set) -> bool {
        let of = |set: &Set, namespace: &str| {
            set.iter().filter(|one| *self.subjects[**one].namespace == *namespace).count()
        };
        let namespaces: BTreeSet<&str> = group.iter().map(|one| &*self.subjects[*one].namespace).collect();
        namespaces.into_iter().all(|name| of(group, name) == of(within, name) && of(within, name) > 1)
    }
}

/// The order in which keys are tried.
fn rank(space: Space, key: &str) -> (usize, Space, String) {
    let by_name = NAMES.iter().position(|known| *known == key).unwrap_or(NAMES.len());
    let volatile = if VOLATILE.contains(&key) { 2 * NAMES.len() } else { 0 };
    (by_name + volatile, space, key.to_owned())
}
