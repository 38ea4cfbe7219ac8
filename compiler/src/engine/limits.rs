//! What policies may ask of a node, and who is denied for asking more.
//!
//! What policies list is counted before anything is made of it, so that saying no is cheap. Only the elements that come of
//! selectors depend on the cluster: they are counted when a selector's members or a program's selectors change.

use super::{Compiler, Local, PodKey, PolicyState};
use crate::{
    config::Listed,
    index::Symbol,
    program::{Program, ProgramId},
};
use policy_model::{
    object::ObjectKey,
    policy::{Direction, NetworkPolicy, Peer},
    selector::{Requirement, Selector},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    ops::{AddAssign, SubAssign},
};

/// How many of the policies at fault are named.
const NAMED: usize = 3;

/// What a limit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// [`Limits::pod`](crate::config::Limits::pod), entries.
    PodEntries,
    /// The same, selectors.
    PodSelectors,
    /// [`Limits::namespace`](crate::config::Limits::namespace), entries.
    NamespaceEntries,
    /// The same, selectors.
    NamespaceSelectors,
    /// [`Limits::elements`](crate::config::Limits::elements).
    Elements,
}

/// A pod that is denied in one direction, since its policies ask for more than they may.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Excess {
    /// The pod.
    pub pod: ObjectKey,
    /// In which direction.
    pub direction: Direction,
    /// What is exceeded.
    pub limit: Limit,
    /// How much there may be.
    pub allowed: u64,
    /// How much there is.
    pub found: u64,
    /// The policies that ask for most of it, the largest first; three at most.
    pub policies: Vec<ObjectKey>,
}

/// `shop/db is denied ingress: its policies list 20000 entries, 16384 are allowed; the largest: shop/blocks`
impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pod, direction, allowed, found, .. } = self;
        let names = self.policies.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let what = match self.limit {
            Limit::PodEntries => "its policies list {} peers, exceptions and ports",
            Limit::PodSelectors => "its policies list {} peers whose podSelector only excludes",
            Limit::NamespaceEntries => {
                "the policies of its namespace's pods on this node list {} peers, exceptions and ports"
            }
            Limit::NamespaceSelectors => {
                "the policies of its namespace's pods on this node list {} peers whose podSelector only excludes"
            }
            Limit::Elements => "its policies' peers by labels are {} pairs of a pod's address and a port",
        };
        let what = what.replace("{}", &found.to_string());
        write!(f, "{pod} is denied {direction}: {what}, and {allowed} are allowed; the largest: {names}")
    }
}

impl AddAssign for Listed {
    fn add_assign(&mut self, other: Self) {
        self.entries += other.entries;
        self.selectors += other.selectors;
    }
}

impl SubAssign for Listed {
    fn sub_assign(&mut self, other: Self) {
        self.entries -= other.entries;
        self.selectors -= other.selectors;
    }
}

impl Listed {
    /// What a policy lists in one direction.
    pub(crate) fn by(policy: &NetworkPolicy, direction: Direction) -> Self {
        let mut listed = Self::default();
        for rule in policy.rules(direction).unwrap_or_default() {
            listed.entries += 1 + rule.ports.len() as u64;
            for peer in &rule.peers {
                listed += match peer {
                    Peer::Pods { pods, .. } => Self { entries: 1, selectors: u64::from(is_wide(pods)) },
                    Peer::IpBlock { except, .. } => Self { entries: 1 + except.len() as u64, selectors: 0 },
                };
            }
        }
        listed
    }

    pub(super) fn fits(self, limit: Self) -> bool {
        self.entries <= limit.entries && self.selectors <= limit.selectors
    }
}

/// Whether a selector has requirements, but none that names a label which must be there: every pod is asked about it.
fn is_wide(pods: &Selector) -> bool {
    let narrows = |r: &Requirement| matches!(r, Requirement::In(..) | Requirement::Exists(_));
    !pods.is_everything() && !pods.requirements().iter().any(narrows)
}

fn peers_by_labels(policy: &NetworkPolicy, direction: Direction) -> u64 {
    let peers = policy.rules(direction).unwrap_or_default().iter().flat_map(|rule| &rule.peers);
    peers.filter(|peer| matches!(peer, Peer::Pods { .. })).count() as u64
}

/// A denial for a limit of what is listed; elements are counted by program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    ForPod,
    ForNamespace,
}

impl Compiler {
    pub(super) fn fits_pod(&self, listed: Listed) -> bool {
        listed.fits(self.config.limits.pod)
    }

    /// Looks which pods of a namespace are denied for the limit of all of them: a function of what they list. Gives those for
    /// which that has changed.
    pub(super) fn weigh_namespace(&mut self, namespace: Symbol) -> Vec<PodKey> {
        if !self.may_be_crowded(namespace) && !self.crowded.contains(&namespace) {
            return Vec::new();
        }
        let heavy = self.too_heavy(namespace);
        let mut changed = Vec::new();
        let limits = self.config.limits;
        for (&key, local) in self.locals.range_mut(of_namespace(namespace)) {
            for direction in Direction::BOTH {
                let at = direction as usize;
                let denied = match () {
                    () if !local.listed[at].fits(limits.pod) => Some(Denied::ForPod),
                    () if heavy.contains(&(local.group, direction)) => Some(Denied::ForNamespace),
                    () => None,
                };
                if denied != local.denied[at] {
                    local.denied[at] = denied;
                    changed.push(key);
                }
            }
        }
        if heavy.is_empty() {
            self.crowded.remove(&namespace);
        } else {
            self.crowded.insert(namespace);
        }
        changed.dedup();
        changed
    }

    /// Whether it is at all possible: nearly never, and quickly said.
    fn may_be_crowded(&self, namespace: Symbol) -> bool {
        let limit = self.config.limits.namespace;
        let most = (self.locals.len() as u64).saturating_mul(2);
        self.namespaces.get(&namespace).is_some_and(|namespace| {
            let Listed { entries, selectors } = namespace.listed;
            entries.saturating_mul(most) > limit.entries || selectors.saturating_mul(most) > limit.selectors
        })
    }

    /// Groups of pods, each with its direction, that do not fit when all are taken from the lightest on.
    fn too_heavy(&self, namespace: Symbol) -> BTreeSet<(u64, Direction)> {
        let limits = self.config.limits;
        let mut groups: HashMap<(u64, Direction), (Listed, ObjectKey)> = HashMap::new();
        for (&key, local) in self.locals.range(of_namespace(namespace)) {
            for direction in Direction::BOTH {
                let listed = local.listed[direction as usize];
                if listed == Listed::default() || !self.fits_pod(listed) {
                    continue;
                }
                // The least name orders groups of one weight: ids depend on what has been before.
                let name = self.object_key(key);
                let group = groups.entry((local.group, direction)).or_insert_with(|| (listed, name.clone()));
                if name < group.1 {
                    group.1 = name;
                }
            }
        }
        let mut ordered: Vec<_> = groups.into_iter().collect();
        ordered.sort_by(|(a, (a_listed, a_name)), (b, (b_listed, b_name))| {
            let weight = |listed: &Listed| (listed.entries, listed.selectors);
            (weight(a_listed), a_name, a.1).cmp(&(weight(b_listed), b_name, b.1))
        });
        let mut sum = Listed::default();
        let mut heavy = BTreeSet::new();
        for (group, (listed, _)) in ordered {
            sum += listed;
            if !sum.fits(limits.namespace) {
                heavy.insert(group);
            }
        }
        heavy
    }

    /// Counts the elements of programs whose selectors have changed; one that has more than it may becomes a denial, and is
    /// filled again when it has not.
    pub(super) fn weigh_programs(&mut self, programs: BTreeSet<ProgramId>) {
        for id in programs {
            let Some(program) = self.programs.get(id as usize) else { continue };
            let wide = self.elements_of(program) > self.config.limits.elements;
            if wide == self.wide.contains(&id) {
                continue;
            }
            if wide {
                self.wide.insert(id);
            } else {
                self.wide.remove(&id);
            }
            self.weighed += 1;
            self.dirty.programs.insert(id);
            self.mark_peers(id);
        }
    }

    /// Counts the elements of a program that has just been made; `false` if these are more than it may have.
    pub(super) fn weigh_new(&mut self, id: ProgramId) -> bool {
        let elements = self.programs.get(id as usize).map_or(0, |program| self.elements_of(program));
        if elements > self.config.limits.elements {
            self.wide.insert(id);
            self.weighed += 1;
            return false;
        }
        self.made += elements;
        true
    }

    /// At most so many elements come of a program's selectors, if no two select one pod.
    fn elements_of(&self, program: &Program) -> u64 {
        let exact = self.config.costs.exact_ports;
        let of_selector = |(&id, ports): (&_, &crate::program::PeerPorts)| {
            let entry = self.selectors.get(id)?;
            if self.asks_shared(program, id) {
                return None;
            }
            let count: u32 =
                policy_model::object::Protocol::ALL.iter().map(|&p| ports.numbers.ports(p).count()).sum();
            // One in the set of those that may do everything; one in each profile map.
            let each = if ports.numbers.is_all() { 1 } else { u64::from(count.min(exact)).max(2) };
            Some(entry.members.len() * (each + ports.names.len() as u64))
        };
        program.peers.iter().filter_map(of_selector).sum()
    }

    /// As long as this is the same, [`Self::beyond_limits`] is.
    #[must_use]
    pub fn weighed(&self) -> u64 {
        self.weighed
    }

    /// Who is denied, since their policies ask for more than they may, without why: each pod's directions by themselves.
    #[must_use]
    pub fn beyond_limits(&self) -> BTreeSet<(ObjectKey, Direction)> {
        let mut all = BTreeSet::new();
        for (&key, local) in &self.locals {
            for direction in Direction::BOTH.into_iter().filter(|direction| self.is_beyond(local, *direction))
            {
                all.insert((self.object_key(key), direction));
            }
        }
        all
    }

    fn is_beyond(&self, local: &Local, direction: Direction) -> bool {
        let at = direction as usize;
        local.denied[at].is_some() || local.programs[at].is_some_and(|id| self.wide.contains(&id))
    }

    /// [`Self::beyond_limits`] with why. With many policies it takes a while.
    #[must_use]
    pub fn excesses(&self) -> Vec<Excess> {
        let mut all = Vec::new();
        for (&key, local) in &self.locals {
            for direction in Direction::BOTH {
                let at = direction as usize;
                let wide = local.programs[at].filter(|id| self.wide.contains(id));
                match (local.denied[at], wide) {
                    (Some(Denied::ForPod), _) => all.push(self.of_pod(key, direction, local.listed[at])),
                    (Some(Denied::ForNamespace), _) => all.push(self.of_namespace(key, direction)),
                    (None, Some(id)) => all.push(self.of_program(key, direction, id)),
                    (None, None) => {}
                }
            }
        }
        all.sort();
        all
    }

    fn of_pod(&self, key: PodKey, direction: Direction, listed: Listed) -> Excess {
        let limit = self.config.limits.pod;
        let entries = listed.entries > limit.entries;
        let (limit, allowed, found) = if entries {
            (Limit::PodEntries, limit.entries, listed.entries)
        } else {
            (Limit::PodSelectors, limit.selectors, listed.selectors)
        };
        self.excess(key, direction, (limit, allowed, found), self.policies_selecting(key))
    }

    fn of_namespace(&self, key: PodKey, direction: Direction) -> Excess {
        let limit = self.config.limits.namespace;
        let mut groups = BTreeMap::new();
        let mut policies = BTreeSet::new();
        for (&other, local) in self.locals.range(of_namespace(key.0)) {
            let both = Direction::BOTH.map(|direction| (direction, local.listed[direction as usize]));
            for (direction, listed) in both.into_iter().filter(|(_, listed)| self.fits_pod(*listed)) {
                groups.insert((local.group, direction), listed);
            }
            policies.extend(self.policy_ids_selecting(other));
        }
        let mut sum = Listed::default();
        groups.into_values().for_each(|listed| sum += listed);
        let entries = sum.entries > limit.entries;
        let what = if entries {
            (Limit::NamespaceEntries, limit.entries, sum.entries)
        } else {
            (Limit::NamespaceSelectors, limit.selectors, sum.selectors)
        };
        let policies = policies.into_iter().filter_map(|id| self.policies.get(id as usize));
        self.excess(key, direction, what, policies)
    }

    fn of_program(&self, key: PodKey, direction: Direction, id: ProgramId) -> Excess {
        let found = self.programs.get(id as usize).map_or(0, |program| self.elements_of(program));
        let what = (Limit::Elements, self.config.limits.elements, found);
        self.excess(key, direction, what, self.policies_selecting(key))
    }

    fn excess<'a>(
        &self,
        key: PodKey,
        direction: Direction,
        (limit, allowed, found): (Limit, u64, u64),
        policies: impl Iterator<Item = &'a PolicyState>,
    ) -> Excess {
        let weight = |policy: &PolicyState| {
            let Listed { entries, selectors } = policy.listed[direction as usize];
            let asked = match limit {
                Limit::PodEntries | Limit::NamespaceEntries => entries,
                Limit::PodSelectors | Limit::NamespaceSelectors => selectors,
                Limit::Elements => peers_by_labels(&policy.policy, direction),
            };
            // A port by name alone is looked up on every pod, and lists no peer.
            (asked, entries)
        };
        let mut named: Vec<_> = policies.map(|policy| (weight(policy), &policy.policy.key)).collect();
        named.retain(|((_, entries), _)| *entries > 0);
        named.sort_by(|(a, a_key), (b, b_key)| b.cmp(a).then_with(|| a_key.cmp(b_key)));
        let policies = named.into_iter().take(NAMED).map(|(_, key)| key.clone()).collect();
        Excess { pod: self.object_key(key), direction, limit, allowed, found, policies }
    }
}

/// The keys of a namespace's pods.
pub(super) fn of_namespace(namespace: Symbol) -> std::ops::RangeInclusive<PodKey> {
    (namespace, Symbol::MIN)..=(namespace, Symbol::MAX)
}
