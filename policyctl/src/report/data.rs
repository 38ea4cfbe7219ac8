//! What the page knows.

use super::rules::{self, PolicyFacts};
use crate::{
    input::{Snapshot, workload_name},
    lint::{self, Finding},
    matrix::{End, Matrix, Options, outside_words, ports_words},
};
use policy_model::{object::Pod, policy::Direction, portset::PortSet, reach::Reach};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Everything that a report shows.
pub struct Report {
    /// What it is about, for its head.
    pub title: String,
    /// The rows of the matrix, ordered by name.
    pub workloads: Vec<Workload>,
    /// Every set of ports that some cell has: the empty one first, then everything.
    pub sets: Vec<PortSet>,
    /// The cells, source by destination.
    pub cells: Vec<Cell>,
    /// The policies with what their rules cover.
    pub policies: Vec<PolicyFacts>,
    /// What lint finds.
    pub findings: Vec<Finding>,
}

/// The number of a set in [`Report::sets`].
pub type Cell = u32;

/// Nothing may pass.
pub(super) const NOTHING: Cell = 0;

/// Everything may pass.
pub(super) const EVERYTHING: Cell = 1;

/// A row of the matrix.
pub struct Workload {
    /// `ns/name[Kind]`.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The labels of its first pod.
    pub labels: String,
    /// How many pods it has; a template counts as none.
    pub pods: usize,
    /// Whether no policy sees its pods.
    pub on_host: bool,
    /// The policies that isolate it, for ingress and for egress, by their number.
    pub isolated_by: [Vec<usize>; 2],
    /// What reaches it from outside, and what it reaches outside.
    pub outside: [Outside; 2],
}

/// Ranges of addresses outside the cluster in words, with the ports.
pub type Outside = Vec<(String, Cell)>;

impl Report {
    /// Evaluates a snapshot.
    #[must_use]
    pub fn new(snapshot: &Snapshot, title: String) -> Self {
        let matrix = Matrix::new(snapshot, &Options::default());
        let mut of_name: BTreeMap<String, Vec<&Pod>> = BTreeMap::new();
        for pod in snapshot.cluster.pods().filter(|pod| !pod.terminal) {
            of_name.entry(workload_name(pod)).or_default().push(pod);
        }
        let index: HashMap<&str, usize> =
            of_name.keys().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
        let count = of_name.len();
        let mut sets = Sets::new();
        let mut cells = vec![NOTHING; count * count];
        let mut outside: [Vec<Vec<_>>; 2] = Direction::BOTH.map(|_| vec![Vec::new(); count]);
        for row in matrix.rows() {
            match (row.source, row.destination) {
                (End::Inside(source), End::Inside(destination)) => {
                    if let (Some(from), Some(to)) = (index.get(&*source), index.get(&*destination)) {
                        cells[from * count + to] = sets.number(row.ports);
                    }
                }
                (End::Outside(range), End::Inside(name)) => {
                    let of = index.get(&*name).map(|at| &mut outside[Direction::Ingress as usize][*at]);
                    of.into_iter().for_each(|ranges| ranges.push((range.lo, range.hi, row.ports.clone())));
                }
                (End::Inside(name), End::Outside(range)) => {
                    let of = index.get(&*name).map(|at| &mut outside[Direction::Egress as usize][*at]);
                    of.into_iter().for_each(|ranges| ranges.push((range.lo, range.hi, row.ports.clone())));
                }
                (End::Outside(_), End::Outside(_)) => {}
            }
        }
        let (policies, isolated_by) = rules::facts(snapshot, &index);
        let mut workloads = Vec::new();
        for (at, (name, pods)) in of_name.iter().enumerate() {
            let outside = [0, 1].map(|direction: usize| {
                let reach: Reach = outside[direction][at].drain(..).collect();
                let words = outside_words(&reach).into_iter();
                words.map(|(range, ports)| (range, sets.number(&ports))).collect::<Outside>()
            });
            workloads.push(Workload {
                name: name.clone(),
                namespace: pods[0].key.namespace.to_string(),
                labels: pods[0].labels.to_string(),
                pods: pods.iter().filter(|pod| !snapshot.is_template(&pod.key)).count(),
                on_host: pods.iter().all(|pod| pod.host_network),
                isolated_by: isolated_by.get(at).cloned().unwrap_or_default(),
                outside,
            });
        }
        Self { title, workloads, sets: sets.all, cells, policies, findings: lint::lint(snapshot) }
    }

    /// What may pass from one workload to another.
    #[must_use]
    pub fn cell(&self, source: usize, destination: usize) -> Cell {
        self.cells[source * self.workloads.len() + destination]
    }

    /// A set of ports in words.
    #[must_use]
    pub fn words(&self, cell: Cell) -> String {
        match cell {
            NOTHING => "denied".to_owned(),
            _ => ports_words(&self.sets[cell as usize]),
        }
    }

    /// How many ordered pairs are open, open in part and denied.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        let count = self.workloads.len();
        let pairs =
            (0..count).flat_map(|source| (0..count).map(move |to| (source, to))).filter(|(a, b)| a != b);
        pairs.fold([0; 3], |mut counts, (source, destination)| {
            counts[match self.cell(source, destination) {
                EVERYTHING => 0,
                NOTHING => 2,
                _ => 1,
            }] += 1;
            counts
        })
    }

    /// The namespaces that there are.
    #[must_use]
    pub fn namespaces(&self) -> BTreeSet<&str> {
        self.workloads.iter().map(|workload| workload.namespace.as_str()).collect()
    }
}

/// Sets by number.
struct Sets {
    all: Vec<PortSet>,
    known: HashMap<PortSet, Cell>,
}

impl Sets {
    fn new() -> Self {
        let mut sets = Self { all: Vec::new(), known: HashMap::new() };
        sets.number(&PortSet::none());
        sets.all.push(PortSet::all());
        sets
    }

    fn number(&mut self, set: &PortSet) -> Cell {
        if let Some(known) = self.known.get(set) {
            return *known;
        }
        // Every port of every protocol that has ports is shown as everything, as the matrix shows it.
        let number = if ports_words(set) == "all" { EVERYTHING } else { self.all.len() as Cell };
        if number != EVERYTHING {
            self.all.push(set.clone());
        }
        self.known.insert(set.clone(), number);
        number
    }
}
