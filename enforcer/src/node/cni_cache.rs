//! The folder of libcni's results, read once and then file by file as it changes.

use super::cni::{self, Attachment, CniError};
use crate::folder_watch::Seen;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};
use tracing::{debug, warn};

/// What every result file claims. Without a look at the host: see [`Attachment::port`].
#[derive(Debug)]
pub(super) struct CniCache {
    folder: PathBuf,
    files: BTreeMap<PathBuf, Attachment>,
}

impl CniCache {
    /// Of `results` in CNI's folder (`/var/lib/cni`); nothing is read yet.
    #[must_use]
    pub(super) fn new(cni_dir: &Path) -> Self {
        Self { folder: cni_dir.join("results"), files: BTreeMap::new() }
    }

    /// The folder, for a watch.
    #[must_use]
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every claim, in the order of the files' names.
    #[must_use]
    pub(super) fn attachments(&self) -> Vec<Attachment> {
        self.files.values().cloned().collect()
    }

    /// Reads what has changed. A folder that is not there has no files; one that cannot be read keeps what was read.
    pub(super) fn update(&mut self, seen: &Seen) {
        match seen {
            Seen::Paths(paths) => paths.iter().for_each(|path| self.read(path)),
            Seen::Everything => match paths_in(&self.folder) {
                Ok(paths) => {
                    self.files.retain(|path, _| paths.contains(path));
                    paths.iter().for_each(|path| self.read(path));
                }
                Err(error) => {
                    warn!(folder = %self.folder.display(), %error, "CNI's results cannot be listed")
                }
            },
        }
    }

    /// A file that cannot be understood claims nothing: libcni drops such files too.
    fn read(&mut self, path: &Path) {
        let attachment = match fs::read(path) {
            Ok(text) => cni::parse(&text),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(CniError::Json(serde_json::Error::io(e))),
        };
        match attachment {
            Ok(Some(attachment)) => {
                debug!(pod = %attachment.pod, container = %attachment.container, "CNI result");
                self.files.insert(path.to_owned(), attachment);
                return;
            }
            Ok(None) => {}
            Err(error) => warn!(file = %path.display(), %error, "CNI result is not used"),
        }
        self.files.remove(path);
    }
}

fn paths_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}
