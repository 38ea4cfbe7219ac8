//! A lab whose nodes are enforced by the real `policyd`, fed with a folder of manifests.

mod manifests;
mod policyd;
mod scenario;

pub use manifests::Manifests;
pub use policyd::{Commit, Policyd, PolicydError, binary};
pub use scenario::{Kernel, probes};

use crate::lab::{Lab, LabError, Node};
use std::{path::PathBuf, time::Duration};

/// How long a node may take until its first revision is in force, and a change to follow.
const PATIENCE: Duration = Duration::from_secs(10);

/// A lab with one `policyd` a node. All of them read the same folder.
#[derive(Debug)]
pub struct Enforced {
    // Dropped first: a daemon ends before its network namespace does.
    daemons: Vec<Policyd>,
    lab: Lab,
    folder: PathBuf,
}

impl Enforced {
    /// Starts `policyd` on every node of a lab and waits until each one's first revision is in force. The folder holds
    /// `manifests` by then.
    ///
    /// # Errors
    /// [`PolicydError`] if the program is not there, ends, or is not ready in time.
    pub fn start(lab: Lab, manifests: &Manifests) -> Result<Self, PolicydError> {
        Self::start_with(lab, manifests, &[])
    }

    /// The same with more arguments for `policyd run`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(lab: Lab, manifests: &Manifests, arguments: &[&str]) -> Result<Self, PolicydError> {
        let folder = lab.node(1).dir().join("manifests");
        manifests.write(&folder)?;
        let start = |node: &Node| Policyd::start(node, &folder, arguments);
        let mut daemons = lab.nodes().iter().map(start).collect::<Result<Vec<_>, _>>()?;
        for daemon in &mut daemons {
            daemon.wait_until_ready(PATIENCE)?;
        }
        Ok(Self { daemons, lab, folder })
    }

    /// The lab.
    #[must_use]
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Gives the lab back without its daemons; what they enforce stays in force.
    #[must_use]
    pub fn into_lab(self) -> Lab {
        let Self { daemons, lab, .. } = self;
        drop(daemons);
        lab
    }

    /// A node's daemon, counted from 1.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn daemon(&self, node: u8) -> &Policyd {
        &self.daemons[usize::from(node) - 1]
    }

    /// The same, to restart or kill it.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn daemon_mut(&mut self, node: u8) -> &mut Policyd {
        &mut self.daemons[usize::from(node) - 1]
    }

    /// All of them in the order of nodes.
    #[must_use]
    pub fn daemons(&self) -> &[Policyd] {
        &self.daemons
    }

    /// The folder that all daemons watch.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Replaces the manifests and waits until every node has read them and settled. Gives each node's commits.
    ///
    /// # Errors
    /// [`PolicydError`] if a daemon has ended or does not follow in time.
    pub fn update(&mut self, manifests: &Manifests) -> Result<Vec<Vec<Commit>>, PolicydError> {
        let before: Vec<_> = self.daemons.iter().map(Policyd::reads).collect();
        let marks: Vec<_> = self.daemons.iter().map(Policyd::mark).collect();
        manifests.write(&self.folder)?;
        for (daemon, reads) in self.daemons.iter_mut().zip(before) {
            daemon.wait_until_read(reads, PATIENCE)?;
        }
        Ok(self.daemons.iter().zip(marks).map(|(daemon, mark)| daemon.commits_since(mark)).collect())
    }
}

impl From<LabError> for PolicydError {
    fn from(error: LabError) -> Self {
        Self::Lab(Box::new(error))
    }
}
