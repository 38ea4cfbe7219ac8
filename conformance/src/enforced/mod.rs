//! A lab whose nodes are enforced by the real `policyd`, fed with a folder of manifests or by an API server.

mod ground;
mod manifests;
mod policyd;
mod scenario;

pub use ground::Ground;
pub use manifests::Manifests;
pub use policyd::{Commit, Policyd, PolicydError, Source, binary};
pub use scenario::{Kernel, probes};

use crate::{
    lab::{Lab, LabError, Node},
    preload::Preloaded,
};
use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long a node may take until its first revision is in force, and a change to follow.
const PATIENCE: Duration = Duration::from_secs(10);
/// A node whose log has not grown for this long has nothing more to say.
const QUIET: Duration = Duration::from_millis(40);

/// A lab with one `policyd` a node. All of them have their objects from the same source.
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
        Self::start_in(lab, folder, arguments)
    }

    /// The same for a folder of manifests that is there already.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_in(lab: Lab, folder: PathBuf, arguments: &[&str]) -> Result<Self, PolicydError> {
        let start = |node: &Node| Policyd::start(node, Source::Folder(&folder), arguments, None);
        let daemons = lab.nodes().iter().map(start).collect::<Result<_, _>>()?;
        Self { daemons, lab, folder }.ready()
    }

    /// The same with libraries preloaded into each daemon, and for the API server of a kubeconfig if there is one. The folder holds
    /// `manifests` in any case: what is expected then.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_preloaded(
        lab: Lab,
        manifests: &Manifests,
        kubeconfig: Option<&Path>,
    ) -> Result<Self, PolicydError> {
        let folder = lab.node(1).dir().join("manifests");
        manifests.write(&folder)?;
        let source = kubeconfig.map_or(Source::Folder(&folder), Source::ApiServer);
        let start = |node: &Node| Policyd::start(node, source, &[], Some(Preloaded::build(node.dir())?));
        let daemons = lab.nodes().iter().map(start).collect::<Result<_, _>>()?;
        Self { daemons, lab, folder }.ready()
    }

    fn ready(mut self) -> Result<Self, PolicydError> {
        for daemon in &mut self.daemons {
            daemon.wait_until_ready(PATIENCE)?;
        }
        Ok(self)
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

    /// Leaves everything up when this process ends: the lab, its daemons, what they enforce. Gives the lab's id.
    ///
    /// # Errors
    /// [`PolicydError::Lab`] if the lab cannot be marked as kept.
    pub fn keep(self) -> Result<String, PolicydError> {
        let Self { daemons, lab, .. } = self;
        let id = lab.keep()?;
        daemons.into_iter().for_each(Policyd::detach);
        Ok(id)
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

    /// The folder that all daemons watch, if they follow no API server.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Replaces the manifests and waits until every node has read them and settled. Gives each node's commits.
    ///
    /// # Errors
    /// [`PolicydError`] if a daemon has ended or does not follow in time.
    pub fn update(&mut self, manifests: &Manifests) -> Result<Vec<Vec<Commit>>, PolicydError> {
        self.follow(|folder| manifests.write(folder))
    }

    /// Lets files of the folder be changed, waits until every node has read them, and until no node has anything more
    /// to say. Gives each node's commits.
    ///
    /// # Errors
    /// As [`Self::update`], and what `edit` fails with.
    pub fn change(
        &mut self,
        edit: impl FnOnce(&Path) -> Result<(), PolicydError>,
    ) -> Result<Vec<Vec<Commit>>, PolicydError> {
        let marks = self.marks();
        self.follow(edit)?;
        let (mut last, mut since) = (self.marks(), Instant::now());
        while since.elapsed() < QUIET {
            thread::sleep(QUIET / 10);
            let now = self.marks();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        Ok(self.commits_since(&marks))
    }

    fn follow(
        &mut self,
        edit: impl FnOnce(&Path) -> Result<(), PolicydError>,
    ) -> Result<Vec<Vec<Commit>>, PolicydError> {
        let before: Vec<_> = self.daemons.iter().map(Policyd::reads).collect();
        let marks = self.marks();
        edit(&self.folder)?;
        for (daemon, reads) in self.daemons.iter_mut().zip(before) {
            daemon.wait_until_read(reads, PATIENCE)?;
        }
        Ok(self.commits_since(&marks))
    }

    fn marks(&self) -> Vec<u64> {
        self.daemons.iter().map(Policyd::mark).collect()
    }

    fn commits_since(&self, marks: &[u64]) -> Vec<Vec<Commit>> {
        self.daemons.iter().zip(marks).map(|(daemon, &mark)| daemon.commits_since(mark)).collect()
    }
}

impl From<LabError> for PolicydError {
    fn from(error: LabError) -> Self {
        Self::Lab(Box::new(error))
    }
}
