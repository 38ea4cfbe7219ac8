//! What each pod of this node may do, and in which order that is decided when there is much to decide.
//!
//! A commit at a pace decides the lightest first and puts off what is beyond its measure, so that those who ask for little
//! do not wait for those who ask for much. A pod that has waited counts half as heavy for each commit that put it off.

use super::{Compiler, PodKey, PolicyId, PolicyState, limits::Denied};
use crate::{
    config::Listed,
    decision::Decision,
    index::Symbol,
    program::{ProgramId, ProgramKey, stable_hash},
};
use policy_model::{object::NamedPort, policy::Direction};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// How much a commit decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Everything that is marked.
    Whole,
    /// What is light: up to [`Limits::commit`](crate::config::Limits::commit) entries of policies in all.
    Light,
    /// That, and one more however heavy it is.
    Heavy,
}

/// So many elements cost about what an entry does.
const ELEMENTS: u64 = 8;

/// A selector that only excludes is asked about all pods, and costs about as many entries as this.
const SELECTOR: u64 = 32;

/// What it costs to decide for a pod, in entries.
fn weigh(listed: Listed) -> u64 {
    listed.entries + listed.selectors * SELECTOR
}

/// A pod of this node.
#[derive(Debug, Default)]
pub(super) struct Local {
    pub(super) programs: [Option<ProgramId>; 2],
    pub(super) isolated: [bool; 2],
    /// What the policies that select it list, by direction.
    pub(super) listed: [Listed; 2],
    /// The same for all pods that the same policies select, with the same named ports: they share their programs.
    pub(super) group: u64,
    pub(super) denied: [Option<Denied>; 2],
    /// Its programs have been decided once.
    decided: bool,
}

/// What decides for a pod: its policies and its named ports.
type Grounds = (Vec<PolicyId>, Box<[NamedPort]>);

/// What has been decided in this commit, by why: pods for which that is the same share it.
type Decided = HashMap<(Grounds, [bool; 2], Option<PodKey>), [Side; 2]>;

/// One direction of a pod.
#[derive(Clone, Copy)]
struct Side {
    isolated: bool,
    /// None if it may do everything.
    program: Option<ProgramId>,
}

impl Compiler {
    /// A local pod must be decided anew; also if it may have become one, or none.
    pub(super) fn mark_local(&mut self, key: PodKey) {
        self.dirty.locals.entry(key).or_default();
    }

    /// Whether the last commit had more to do than what is light.
    #[must_use]
    pub fn was_heavy(&self) -> bool {
        self.worked + self.made / ELEMENTS > self.config.limits.commit
    }

    /// Policies whose subject is a pod, in no particular order.
    pub(super) fn policies_selecting(&self, key: PodKey) -> impl Iterator<Item = &PolicyState> {
        self.policy_ids_selecting(key).into_iter().filter_map(|id| self.policies.get(id as usize))
    }

    /// The same, sorted.
    pub(super) fn policy_ids_selecting(&self, key: PodKey) -> Vec<PolicyId> {
        let Some(pod) = self.pod_ids.get(&key).and_then(|&id| self.pods.get(id as usize)) else {
            return self
                .namespaces
                .get(&key.0)
                .map(|n| n.policies.iter().copied().collect())
                .unwrap_or_default();
        };
        let selects =
            |id: &PolicyId| self.policies.get(*id as usize).is_some_and(|p| p.subject.hold(&pod.labels));
        let mut ids: Vec<_> = self.subjects.of(key.0, &pod.labels).filter(selects).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    pub(super) fn is_local(&self, key: PodKey) -> bool {
        let pod = self.pod_ids.get(&key).and_then(|&id| self.pods.get(id as usize));
        pod.is_some_and(|pod| pod.local) || self.interfaces_of.contains_key(&key)
    }

    fn grounds(&self, key: PodKey) -> Grounds {
        let pod = self.pod_ids.get(&key).and_then(|&id| self.pods.get(id as usize));
        (self.policy_ids_selecting(key), pod.map(|pod| pod.ports.clone()).unwrap_or_default())
    }

    /// What a pod may do. One that the host has found and nobody has named has labels that are not known: each policy of its
    /// namespace may select it, so it is isolated where any of them isolates, and allowed is what those policies allow that
    /// select every pod.
    pub(super) fn decision(&self, key: PodKey, direction: Direction) -> Option<Decision> {
        self.decide(key, direction, &self.grounds(key))
    }

    /// Those of a pod's policies whose rules count for it.
    fn certain(&self, key: PodKey, ids: &[PolicyId]) -> impl Iterator<Item = &PolicyState> {
        let unnamed = !self.pod_ids.contains_key(&key);
        let states = ids.iter().filter_map(|id| self.policies.get(*id as usize));
        states.filter(move |state| !unnamed || state.policy.pod_selector.is_everything())
    }

    /// What the policies that select a pod list, by direction.
    fn listed(&self, key: PodKey, ids: &[PolicyId]) -> [Listed; 2] {
        let mut sum = [Listed::default(); 2];
        for state in self.certain(key, ids) {
            sum.iter_mut().zip(state.listed).for_each(|(sum, one)| *sum += one);
        }
        sum
    }

    fn decide(&self, key: PodKey, direction: Direction, (ids, ports): &Grounds) -> Option<Decision> {
        let mut states = ids.iter().filter_map(|id| self.policies.get(*id as usize));
        if !states.any(|state| state.policy.rules(direction).is_some()) {
            return None;
        }
        let denied = self.locals.get(&key).and_then(|local| local.denied[direction as usize]);
        if denied.is_some() || !self.fits_pod(self.listed(key, ids)[direction as usize]) {
            return Some(Decision::none(direction));
        }
        let decision = Decision::of(direction, self.certain(key, ids).map(|state| &*state.policy), ports);
        Some(decision.unwrap_or_else(|| Decision::none(direction)))
    }

    /// Decides marked local pods anew. A pod holds its programs from the moment it is bound to this node, before it has any
    /// address, so that they are in the kernel by then.
    pub(super) fn derive_locals(&mut self, pace: Pace) {
        self.weighed += u64::from(!self.dirty.locals.is_empty());
        let mut chosen = self.choose(pace);
        // A pod that has gone may have made room.
        let mut namespaces = self.crowded.clone();
        for (key, grounds) in &chosen {
            let listed = self.listed(*key, &grounds.0);
            let beyond = listed.map(|one| (!self.fits_pod(one)).then_some(Denied::ForPod));
            let local = self.locals.entry(*key).or_default();
            local.listed = listed;
            local.group = stable_hash(grounds);
            for (denied, beyond) in local.denied.iter_mut().zip(beyond) {
                // Whether it still is for the namespace's, is weighed next.
                *denied = beyond.or(denied.filter(|denied| *denied == Denied::ForNamespace));
            }
            namespaces.insert(key.0);
        }
        let keys: BTreeSet<PodKey> = chosen.iter().map(|(key, _)| *key).collect();
        for namespace in namespaces {
            let changed = self.weigh_namespace(namespace);
            let others = changed.into_iter().filter(|key| !keys.contains(key));
            chosen.extend(others.map(|key| (key, self.grounds(key))).collect::<Vec<_>>());
        }
        let mut decided = Decided::new();
        self.made = 0;
        let mut of_namespace: BTreeMap<Symbol, u64> = BTreeMap::new();
        for (key, grounds) in chosen {
            // How many elements come of a decision is known only once it is made.
            let new = self.locals.get(&key).is_none_or(|local| !local.decided);
            let made = of_namespace.entry(key.0).or_insert(0);
            if pace != Pace::Whole && !new && *made / ELEMENTS > self.config.limits.commit {
                self.dirty.locals.insert(key, 1);
                continue;
            }
            let before = self.made;
            self.decide_local(key, grounds, &mut decided);
            *made += self.made - before;
        }
        for (namespace, made) in of_namespace {
            if made / ELEMENTS > self.config.limits.commit {
                self.burdens.insert(namespace);
            } else {
                self.burdens.remove(&namespace);
            }
        }
    }

    fn decide_local(&mut self, key: PodKey, grounds: Grounds, decided: &mut Decided) {
        self.dirty.addresses.extend(self.dispatch_addresses(key));
        let Some(local) = self.locals.get(&key) else { return };
        // Nobody else is like a pod that has not been named.
        let unnamed = (!self.pod_ids.contains_key(&key)).then_some(key);
        let why = (grounds, local.denied.map(|denied| denied.is_some()), unnamed);
        let sides = match decided.get(&why) {
            Some(sides) => {
                let sides = *sides;
                sides.into_iter().filter_map(|side| side.program).for_each(|id| self.hold(id));
                sides
            }
            None => {
                let sides = Direction::BOTH.map(|direction| {
                    let decision = self.decide(key, direction, &why.0);
                    let isolated = decision.is_some();
                    let judging = decision.filter(|decision| !decision.allows_all());
                    let program = judging.map(|decision| {
                        self.acquire(ProgramKey { direction, all_of: vec![Arc::new(decision)] })
                    });
                    Side { isolated, program }
                });
                decided.insert(why, sides);
                sides
            }
        };
        let Some(local) = self.locals.get_mut(&key) else { return };
        let isolated = sides.map(|side| side.isolated);
        self.dirty.guard |= !local.decided || local.isolated != isolated;
        local.decided = true;
        let was_isolated = std::mem::replace(&mut local.isolated, isolated);
        for (count, (was, is)) in self.isolated.iter_mut().zip(was_isolated.into_iter().zip(isolated)) {
            *count = *count + usize::from(is) - usize::from(was);
        }
        let before = std::mem::replace(&mut local.programs, sides.map(|side| side.program));
        before.into_iter().flatten().for_each(|id| self.release(id));
    }

    /// Takes out of the marked pods those to be decided now. Those that are not local any more are forgotten.
    fn choose(&mut self, pace: Pace) -> Vec<(PodKey, Grounds)> {
        let mut marked: Vec<_> = std::mem::take(&mut self.dirty.locals).into_iter().collect();
        let weight = |key: &PodKey, waited: u32| {
            self.locals.get(key).map_or(0, |local| {
                (weigh(local.listed[0]) + weigh(local.listed[1])) >> waited.min(u64::BITS - 1)
            })
        };
        marked.sort_by_cached_key(|(key, waited)| (weight(key, *waited), *key));
        let light = self.config.limits.commit;
        let mut chosen = Vec::new();
        let mut groups: BTreeSet<u64> = BTreeSet::new();
        let (mut spent, mut heavy_one) = (0, pace == Pace::Heavy);
        for (key, waited) in marked {
            if !self.is_local(key) {
                self.forget_local(key);
                continue;
            }
            // A new pod has no program to keep meanwhile.
            let must = pace == Pace::Whole || self.locals.get(&key).is_none_or(|local| !local.decided);
            let burden = pace == Pace::Light && self.burdens.contains(&key.0);
            if !must && (burden || spent >= light && !heavy_one) {
                self.dirty.locals.insert(key, waited + 1);
                continue;
            }
            let grounds = self.grounds(key);
            let states = grounds.0.iter().filter_map(|id| self.policies.get(*id as usize));
            let entries: u64 = states.flat_map(|state| state.listed).map(weigh).sum();
            // To look through many policies costs something too, whatever they say.
            let looked = grounds.0.len() as u64 / 16;
            let group = stable_hash(&grounds);
            let costs = if groups.insert(group) { entries } else { 0 };
            if must || spent + costs <= light || std::mem::take(&mut heavy_one) {
                spent += costs + looked;
                chosen.push((key, grounds));
            } else {
                groups.remove(&group);
                spent += looked;
                self.dirty.locals.insert(key, waited + 1);
            }
        }
        self.worked = spent;
        chosen
    }

    fn forget_local(&mut self, key: PodKey) {
        self.dirty.addresses.extend(self.dispatch_addresses(key));
        if let Some(local) = self.locals.remove(&key) {
            self.isolated.iter_mut().zip(local.isolated).for_each(|(count, was)| *count -= usize::from(was));
            local.programs.into_iter().flatten().for_each(|id| self.release(id));
        }
    }
}
