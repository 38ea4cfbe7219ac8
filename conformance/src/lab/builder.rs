//! Raising a lab.

use super::{Lab, LabError, Netns, Node, addresses, cni_files, outside, ownership, ownership::Claim, shell};
use crate::probe::Responder;
use std::{fs, path::Path, thread};

/// The ports on which pods, nodes and the outside host answer unless told otherwise.
pub const DEFAULT_PORTS: [u16; 6] = [53, 80, 443, 5432, 8080, 9000];

/// How a lab is to be. Made by [`Lab::builder`].
#[derive(Clone, Debug)]
pub struct LabBuilder {
    test: String,
    nodes: u8,
    ports: Vec<u16>,
}

impl LabBuilder {
    pub(crate) fn new(test: &str) -> Self {
        Self { test: test.to_owned(), nodes: 2, ports: DEFAULT_PORTS.to_vec() }
    }

    /// How many nodes: 1 to [`addresses::MAX_NODES`]. 2 if not said.
    #[must_use]
    pub fn nodes(mut self, nodes: u8) -> Self {
        self.nodes = nodes;
        self
    }

    /// The ports on which every host answers TCP, UDP and SCTP. [`DEFAULT_PORTS`] if not said.
    #[must_use]
    pub fn ports(mut self, ports: &[u16]) -> Self {
        self.ports = ports.to_vec();
        self
    }

    /// Sweeps what dead processes left, and raises the lab.
    ///
    /// # Errors
    /// [`LabError::NotRoot`] without root, [`LabError::NoBrNetfilter`] without that module, and what `ip` and `nft` say.
    pub fn build(self) -> Result<Lab, LabError> {
        if !nix::unistd::geteuid().is_root() {
            return Err(LabError::NotRoot);
        }
        if !(1..=addresses::MAX_NODES).contains(&self.nodes) {
            return Err(LabError::Invalid(format!(
                "{} nodes: a lab has 1 to {}",
                self.nodes,
                addresses::MAX_NODES
            )));
        }
        if !Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables").exists() {
            return Err(LabError::NoBrNetfilter);
        }
        ownership::sweep()?;
        let claim = Claim::new(&self.test)?;
        let netns = |name: &str| Netns::new(format!("{}-{name}", claim.id()));
        let (switch, outside) = (netns("ul"), netns("out"));
        let nodes: Vec<Node> = (1..=self.nodes)
            .map(|n| Node::new(n, netns(&format!("n{n}")), claim.dir().join(format!("n{n}"))))
            .collect::<Result<_, _>>()?;

        let all = nodes.iter().map(Node::netns).chain([&switch, &outside]);
        shell::ip_batch(&all.map(|ns| format!("netns add {}\n", ns.name())).collect::<String>())?;
        for node in &nodes {
            fs::create_dir_all(node.dir()).map_err(LabError::io(node.dir().display().to_string()))?;
            cni_files::prepare(&node.cni_dir())?;
            node.prepare()?;
        }
        outside::prepare(&outside)?;
        outside::wire(&switch, &outside, &nodes.iter().map(Node::netns).collect::<Vec<_>>())?;
        in_parallel(&nodes, |node| node.configure(self.nodes))?;
        outside::configure(&outside, self.nodes)?;
        outside::wait_for_underlay(&switch, self.nodes)?;

        let responder = Responder::start()?;
        Lab::new(claim, responder, nodes, outside, self.ports)
    }
}

/// Does `job` for each item on a few threads: most of the time goes by in `ip` and in the kernel.
pub(crate) fn in_parallel<T: Sync>(
    items: &[T],
    job: impl Fn(&T) -> Result<(), LabError> + Sync,
) -> Result<(), LabError> {
    let share = items.len().div_ceil(4).max(1);
    thread::scope(|s| {
        let threads: Vec<_> =
            items.chunks(share).map(|part| s.spawn(|| part.iter().try_for_each(&job))).collect();
        threads.into_iter().try_for_each(|t| {
            t.join().unwrap_or_else(|_| Err(LabError::Panicked("several namespaces at once".to_owned())))
        })
    })
}
