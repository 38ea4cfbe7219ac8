//! When the state is written: soon after a change, never often, and not by the loop itself.

use super::State;
use policy_model::cluster::Cluster;
use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{self, SyncSender, TrySendError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tracing::{debug, error, info};

/// A change is on disk this long after it came ...
const SOON: Duration = Duration::from_secs(1);
/// ... but there are never two writings in less than this: a busy cluster costs no more.
const GAP: Duration = Duration::from_secs(30);

/// Keeps the state of the loop's cluster on disk, in a thread of its own.
#[derive(Debug)]
pub struct Keeper {
    states: Option<SyncSender<State>>,
    writer: Option<JoinHandle<()>>,
    /// The first change that is not on its way to the disk.
    changed: Option<Instant>,
    written: Option<Instant>,
}

impl Keeper {
    /// Of a file in the state folder, for this node.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn new(path: PathBuf, node: Arc<str>) -> io::Result<Self> {
        // One waits while one is written.
        let (states, taken) = mpsc::sync_channel::<State>(1);
        let work = move || {
            let mut failed = false;
            for state in taken {
                let begin = Instant::now();
                match super::write(&path, &node, &state) {
                    Ok(bytes) => {
                        debug!(bytes, took = ?begin.elapsed(), "the state is on disk");
                        if std::mem::take(&mut failed) {
                            info!(file = %path.display(), "the state can be written again");
                        }
                    }
                    // Once: with a full disk, a log that grows is no help.
                    Err(error) if !std::mem::replace(&mut failed, true) => {
                        error!(%error, file = %path.display(),
                            "the state cannot be written; after a boot without an API server this node would begin with an older one");
                    }
                    Err(error) => debug!(%error, "the state cannot be written"),
                }
            }
        };
        let writer = thread::Builder::new().name("state".into()).spawn(work)?;
        Ok(Self { states: Some(states), writer: Some(writer), changed: None, written: None })
    }

    /// The cluster's objects have changed.
    pub fn changed(&mut self, now: Instant) {
        self.changed.get_or_insert(now);
    }

    /// When [`Self::keep`] has something to do.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let soon = self.changed? + SOON;
        Some(self.written.map_or(soon, |written| soon.max(written + GAP)))
    }

    /// Hands the state over if it is time.
    pub fn keep(&mut self, cluster: &Cluster, now: Instant) {
        if self.due().is_some_and(|due| due <= now) {
            self.hand_over(cluster, now);
        }
    }

    fn hand_over(&mut self, cluster: &Cluster, now: Instant) {
        let Some(states) = &self.states else { return };
        self.written = Some(now);
        match states.try_send(State::of(cluster)) {
            Ok(()) => self.changed = None,
            // The disk is slower than all that; the next one has this one in it.
            Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => self.states = None,
        }
    }

    /// Writes what is not on disk yet, and waits for it.
    pub fn finish(self, cluster: &Cluster) {
        if self.changed.is_some()
            && let Some(states) = &self.states
        {
            // The thread has ended if this fails, and has said why.
            let _ = states.send(State::of(cluster));
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.states = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_soon_and_not_often() {
        let folder = tempfile::tempdir().unwrap();
        let path = super::super::path(&folder.path().join("state"));
        let mut keeper = Keeper::new(path.clone(), "w1".into()).unwrap();
        let (cluster, begin) = (Cluster::new(), Instant::now());
        assert_eq!(keeper.due(), None);
        keeper.changed(begin);
        keeper.changed(begin + SOON / 2);
        assert_eq!(keeper.due(), Some(begin + SOON));
        keeper.keep(&cluster, begin);
        assert_eq!(keeper.due(), Some(begin + SOON), "not yet");
        keeper.keep(&cluster, begin + SOON);
        assert_eq!(keeper.due(), None);
        keeper.changed(begin + 2 * SOON);
        assert_eq!(keeper.due(), Some(begin + SOON + GAP));
        keeper.finish(&cluster);
        assert_eq!(super::super::read(&path).unwrap(), Some(Vec::new()), "finish waits for the disk");
    }
}
