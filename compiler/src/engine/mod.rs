//! The incremental compiler: events in, Delta out.
//!
//! An event only changes the state and marks what depends on it: a local pod, an address, a peer of a program. A commit
//! looks at each marked thing once and derives it anew from the state, so the outcome is a function of the state alone, a
//! burst costs what its union costs, and an event and its undoing cost nothing.

mod commit;
mod dispatch;
mod host;
mod limits;
mod locals;
mod objects;
mod peers;
mod programs;

use crate::{
    config::{Config, Listed, Port},
    delta::Delta,
    desired::Desired,
    index::{Candidates, Interner, Postings, Row, SelectorId, SelectorKey, Selectors, Symbol, Tests},
    ir::{Name, Ruleset},
    program::{Program, ProgramId, ProgramKey},
    skeleton,
};
use policy_model::{
    cluster::Change,
    object::{NamedPort, Node, ObjectKey},
    policy::NetworkPolicy,
};
use roaring::RoaringBitmap;
use slab::Slab;
use smallvec::SmallVec;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

pub use limits::{Excess, Limit};
use locals::Local;
pub use locals::Pace;

/// What the compiler is fed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A change of the cluster's objects.
    Cluster(Change),
    /// A local pod's interface is as given; replaces what was said of the same id.
    Port(Port),
    /// There is no such interface any more; names [`Port::id`].
    PortDeleted(Arc<str>),
    /// Addresses of this node that belong to nobody now, whatever a pod's status says: leased to a pod that has not been
    /// named yet, or given back. Replaces what was said before.
    Withheld(BTreeSet<IpAddr>),
}

impl From<Change> for Event {
    fn from(change: Change) -> Self {
        Self::Cluster(change)
    }
}

/// Sizes of the state, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Pods that policy sees, of the whole cluster.
    pub pods: usize,
    /// Namespaces, those included that are only used.
    pub namespaces: usize,
    /// Policies in force.
    pub policies: usize,
    /// Peer selectors that programs use.
    pub selectors: usize,
    /// Different strings in labels and names.
    pub strings: usize,
    /// Programs.
    pub programs: usize,
    /// Local pods.
    pub local_pods: usize,
    /// Local pods that are isolated for ingress, and for egress.
    pub isolated: [usize; 2],
    /// Elements of all sets and maps.
    pub elements: usize,
}

/// A local pod as people want to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalPod {
    /// Which pod.
    pub key: ObjectKey,
    /// Addresses by which it is dispatched.
    pub addresses: Vec<IpAddr>,
    /// Its program for ingress and for egress; `None` where it is not isolated.
    pub programs: [Option<Arc<str>>; 2],
    /// Policies that select it.
    pub policies: Vec<ObjectKey>,
}

/// Namespace and name of a pod.
type PodKey = (Symbol, Symbol);
type PolicyId = u32;

#[derive(Debug)]
struct PodState {
    key: PodKey,
    labels: Row,
    ips: SmallVec<[IpAddr; 2]>,
    local: bool,
    ports: Box<[NamedPort]>,
    /// Selectors in use that select it, sorted.
    selectors: Vec<SelectorId>,
}

#[derive(Debug)]
struct NamespaceState {
    labels: Row,
    defined: bool,
    pods: RoaringBitmap,
    policies: BTreeSet<PolicyId>,
    /// What its policies list, in both directions together.
    listed: Listed,
}

#[derive(Debug)]
struct PolicyState {
    policy: Arc<NetworkPolicy>,
    namespace: Symbol,
    subject: Tests,
    /// By direction.
    listed: [Listed; 2],
}

/// What the dispatch maps hold for an address.
#[derive(Debug, Default)]
struct Dispatched {
    programs: [Option<ProgramId>; 2],
}

/// What must be derived anew at the next commit.
#[derive(Debug, Default)]
struct Dirty {
    /// With the number of commits that have put them off.
    locals: BTreeMap<PodKey, u32>,
    addresses: BTreeSet<IpAddr>,
    peers: HashSet<(ProgramId, IpAddr)>,
    members: HashSet<(SelectorId, IpAddr)>,
    selectors: BTreeSet<SelectorId>,
    programs: BTreeSet<ProgramId>,
    guard: bool,
    nodes: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Compiler {
    config: Config,
    skeleton: Ruleset,
    interner: Interner,
    namespaces: HashMap<Symbol, NamespaceState>,
    pods: Slab<PodState>,
    pod_ids: HashMap<PodKey, u32>,
    postings: Postings,
    interfaces: BTreeMap<Arc<str>, Port>,
    interfaces_of: HashMap<PodKey, BTreeSet<Arc<str>>>,
    /// Addresses of interfaces, with how many have them: a status that claims one for another pod of this node is old.
    hosted: HashMap<IpAddr, usize>,
    withheld: BTreeSet<IpAddr>,
    nodes: BTreeMap<Arc<str>, Node>,
    policies: Slab<PolicyState>,
    policy_ids: HashMap<ObjectKey, PolicyId>,
    subjects: Candidates<PolicyId>,
    selectors: Selectors,
    /// Live pods that claim an address; nearly always one.
    claims: HashMap<IpAddr, SmallVec<[PodKey; 1]>>,
    /// Those that more than one claims.
    claimed_twice: BTreeSet<IpAddr>,
    locals: BTreeMap<PodKey, Local>,
    /// How many of them are isolated, by direction.
    isolated: [usize; 2],
    /// Counts how often it may have become others that are denied for what their policies ask.
    weighed: u64,
    /// Namespaces of which some pods are denied for the limit of all.
    crowded: BTreeSet<Symbol>,
    /// Programs with more elements than one may have.
    wide: BTreeSet<ProgramId>,
    /// What the last commit had to decide anew, and the elements of the programs that it has made.
    worked: u64,
    made: u64,
    /// Namespaces whose pods' decisions came to many elements when they were made last: they wait for a heavy commit.
    burdens: BTreeSet<Symbol>,
    dispatched: BTreeMap<IpAddr, Dispatched>,
    /// Dispatched addresses with several claimants: looked at again in every commit.
    contested: BTreeSet<IpAddr>,
    programs: Slab<Program>,
    program_ids: HashMap<Arc<ProgramKey>, ProgramId>,
    desired: Desired,
    dirty: Dirty,
    /// Programs without use, and objects of programs that lost their last reference in the last commit: removed in the
    /// next, so that no packet in flight meets something half gone.
    idle: BTreeSet<ProgramId>,
    retired: Vec<Retired>,
    /// Pods and interfaces that are gone: their names' symbols are given back after the commit, since marks hold them.
    gone: Vec<PodKey>,
}

/// A chain or set that nothing refers to any more.
#[derive(Debug)]
enum Retired {
    Chain(ProgramId, Name),
    Set(ProgramId, Name),
    Shared(Arc<SelectorKey>),
}

impl Compiler {
    /// An empty cluster. The first commit makes both tables.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut compiler = Self {
            skeleton: Ruleset::default(),
            interner: Interner::default(),
            namespaces: HashMap::new(),
            pods: Slab::new(),
            pod_ids: HashMap::new(),
            postings: Postings::default(),
            interfaces: BTreeMap::new(),
            interfaces_of: HashMap::new(),
            hosted: HashMap::new(),
            withheld: BTreeSet::new(),
            nodes: BTreeMap::new(),
            policies: Slab::new(),
            policy_ids: HashMap::new(),
            subjects: Candidates::default(),
            selectors: Selectors::default(),
            claims: HashMap::new(),
            claimed_twice: BTreeSet::new(),
            locals: BTreeMap::new(),
            isolated: [0; 2],
            weighed: 0,
            crowded: BTreeSet::new(),
            wide: BTreeSet::new(),
            worked: 0,
            made: 0,
            burdens: BTreeSet::new(),
            dispatched: BTreeMap::new(),
            contested: BTreeSet::new(),
            programs: Slab::new(),
            program_ids: HashMap::new(),
            desired: Desired::default(),
            dirty: Dirty { nodes: true, ..Dirty::default() },
            idle: BTreeSet::new(),
            retired: Vec::new(),
            gone: Vec::new(),
            config: config.clone(),
        };
        compiler.set_config(config);
        compiler
    }

    /// Changes the settings; the fixed chains follow with the next commit. The node's name, the costs, the limits and the room
    /// for local pods cannot be changed.
    pub fn set_config(&mut self, config: Config) {
        let Config { node, costs, limits, room, .. } = &self.config;
        self.config = Config { node: node.clone(), costs: *costs, limits: *limits, room: *room, ..config };
        let skeleton = skeleton::ruleset(&self.config);
        self.desired.replace_fixed(&self.skeleton, &skeleton);
        self.skeleton = skeleton;
        self.dirty.nodes = true;
        self.dirty.guard = true;
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes note of an event; nothing is derived before [`Self::commit`].
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Cluster(change) => self.apply_change(change),
            Event::Port(port) => self.port_applied(port),
            Event::PortDeleted(id) => self.port_deleted(&id),
            Event::Withheld(addresses) => self.withhold(addresses),
        }
    }

    /// Derives what has been marked, and gives what leads from the last commit's ruleset to the new one.
    pub fn commit(&mut self) -> Delta {
        self.commit_at(Pace::Whole)
    }

    /// Derives what has been marked as far as the pace allows. Pods whose decision is put off keep the one they had; commits
    /// that follow get to them.
    pub fn commit_at(&mut self, pace: Pace) -> Delta {
        self.derive(pace);
        self.desired.take_delta()
    }

    /// Whether nothing waits to be removed. If not, another commit, when packets in flight have left, removes it.
    #[must_use]
    pub fn settled(&self) -> bool {
        self.idle.is_empty() && self.retired.is_empty()
    }

    /// Whether pods wait for a decision that the last commit has put off.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.dirty.locals.is_empty()
    }

    /// The namespaces of those pods.
    #[must_use]
    pub fn waiting_namespaces(&self) -> BTreeSet<Arc<str>> {
        self.dirty.locals.keys().map(|&(namespace, _)| self.interner.string(namespace)).collect()
    }

    /// All that the kernel should hold after the last commit.
    #[must_use]
    pub fn ruleset(&self) -> &Ruleset {
        self.desired.ruleset()
    }

    /// Sizes after the last commit.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            pods: self.pods.len(),
            namespaces: self.namespaces.len(),
            policies: self.policies.len(),
            selectors: self.selectors.len(),
            strings: self.interner.len(),
            programs: self.programs.len(),
            local_pods: self.locals.len(),
            isolated: self.isolated,
            elements: self.desired.elements(),
        }
    }

    /// Local pods that some program judges.
    #[must_use]
    pub fn judged(&self) -> usize {
        self.locals.values().filter(|local| local.programs.iter().any(Option::is_some)).count()
    }

    /// Every local pod after the last commit, in the order of names.
    #[must_use]
    pub fn local_pods(&self) -> Vec<LocalPod> {
        let mut pods: Vec<_> = self.locals.iter().map(|(&key, local)| self.local_pod(key, local)).collect();
        pods.sort_by(|a, b| a.key.cmp(&b.key));
        pods
    }

    fn local_pod(&self, key: PodKey, local: &Local) -> LocalPod {
        let program = |side: usize| Some(self.programs.get(local.programs[side]? as usize)?.name.clone());
        let mut policies: Vec<_> =
            self.policies_selecting(key).map(|policy| policy.policy.key.clone()).collect();
        policies.sort();
        LocalPod {
            key: self.object_key(key),
            addresses: self.dispatch_addresses(key),
            programs: [program(0), program(1)],
            policies,
        }
    }

    /// Addresses that several live pods claim, with the claimants.
    #[must_use]
    pub fn conflicts(&self) -> Vec<(IpAddr, Vec<ObjectKey>)> {
        let keys = |address: &IpAddr| {
            let claimants = self.claims.get(address).into_iter().flatten();
            let mut keys: Vec<_> = claimants.map(|&key| self.object_key(key)).collect();
            keys.sort();
            keys
        };
        self.claimed_twice.iter().map(|address| (*address, keys(address))).collect()
    }

    fn object_key(&self, (namespace, name): PodKey) -> ObjectKey {
        ObjectKey { namespace: self.interner.string(namespace), name: self.interner.string(name) }
    }
}
