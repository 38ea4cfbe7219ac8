//! The folders of libcni's results, read once and then file by file as they change.

use super::cni::{self, Attachment, CniError};
use crate::folder_watch::{Seen, paths_in};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use tracing::{debug, warn};

/// Where results are in CNI's folder: libcni's own place, and that of cri-dockerd (kubernetes#78908).
const FOLDERS: [&str; 2] = ["results", "cache/results"];

/// What tells one content of a file from the next without reading it: inode, size, and time of change in nanoseconds.
type Stamp = (u64, u64, i64, i64);

/// What every result file claims. Without a look at the host: see [`Attachment::port`].
#[derive(Debug)]
pub(super) struct CniCache {
    folders: [PathBuf; 2],
    files: BTreeMap<PathBuf, (Stamp, Option<Attachment>)>,
}

impl CniCache {
    /// Of CNI's folder (`/var/lib/cni`); nothing is read yet.
    #[must_use]
    pub(super) fn new(cni_dir: &Path) -> Self {
        Self { folders: FOLDERS.map(|folder| cni_dir.join(folder)), files: BTreeMap::new() }
    }

    /// Every claim, in the order of the files' names.
    #[must_use]
    pub(super) fn attachments(&self) -> Vec<Attachment> {
        self.files.values().filter_map(|(_, attachment)| attachment.clone()).collect()
    }

    /// The sandboxes that files name.
    pub(super) fn containers(&self) -> impl Iterator<Item = &Arc<str>> {
        self.files.values().filter_map(|(_, attachment)| attachment.as_ref().map(|claim| &claim.container))
    }

    /// Reads what has changed. A folder that is not there has no files; one that cannot be read keeps what was read.
    pub(super) fn update(&mut self, seen: &Seen) {
        match seen {
            Seen::Paths(paths) => {
                for path in paths {
                    if self.is_result(path) {
                        self.read(path);
                    }
                }
            }
            Seen::Everything => {
                for folder in self.folders.clone() {
                    match paths_in(&folder) {
                        Ok(paths) => {
                            self.files.retain(|path, _| !path.starts_with(&folder) || paths.contains(path));
                            paths.iter().for_each(|path| self.read(path));
                        }
                        Err(error) => {
                            warn!(folder = %folder.display(), %error, "CNI's results cannot be listed")
                        }
                    }
                }
            }
        }
    }

    fn is_result(&self, path: &Path) -> bool {
        path.parent().is_some_and(|parent| self.folders.iter().any(|folder| folder == parent))
    }

    /// A file that cannot be understood claims nothing: libcni drops such files too. It is said once, and again when the
    /// file is another.
    fn read(&mut self, path: &Path) {
        let Ok(stamp) = stamp(path) else {
            self.files.remove(path);
            return;
        };
        if self.files.get(path).is_some_and(|(known, _)| *known == stamp) {
            return;
        }
        let attachment = match fs::read(path) {
            Ok(text) => cni::parse(&text),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.files.remove(path);
                return;
            }
            Err(e) => Err(CniError::Json(serde_json::Error::io(e))),
        };
        let attachment = attachment.unwrap_or_else(|error| {
            warn!(file = %path.display(), %error, "CNI result is not used");
            None
        });
        if let Some(attachment) = &attachment {
            debug!(pod = %attachment.pod, container = %attachment.container, "CNI result");
        }
        self.files.insert(path.to_owned(), (stamp, attachment));
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.ino(), metadata.size(), metadata.ctime(), metadata.ctime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(pod: &str) -> String {
        format!(
            r#"{{"kind": "cniCacheV1", "containerId": "{pod}", "ifName": "eth0", "networkName": "cbr0",
                "cniArgs": [["K8S_POD_NAMESPACE", "shop"], ["K8S_POD_NAME", "{pod}"]],
                "result": {{"cniVersion": "1.0.0", "ips": [{{"address": "10.244.1.2/24"}}], "interfaces": [
                    {{"name": "veth1", "mac": "0a:58:00:00:00:02"}},
                    {{"name": "eth0", "mac": "02:00:0a:f4:01:02", "sandbox": "/run/netns/x"}}]}}}}"#
        )
    }

    fn names(cache: &CniCache) -> Vec<String> {
        cache.attachments().iter().map(|attachment| attachment.pod.name.to_string()).collect()
    }

    #[test]
    fn both_places_are_read_and_half_written_files_claim_nothing_until_they_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().to_owned();
        let mut cache = CniCache::new(&dir);
        cache.update(&Seen::Everything);
        assert!(names(&cache).is_empty(), "there is no folder");

        let [own, dockers] = FOLDERS.map(|folder| dir.join(folder));
        for folder in [&own, &dockers] {
            fs::create_dir_all(folder).unwrap();
        }
        let path = own.join("cbr0-a-eth0");
        for half in ["", "{\"kind\": \"cniCac"] {
            fs::write(&path, half).unwrap();
            cache.update(&Seen::Everything);
            assert!(names(&cache).is_empty(), "{half:?}");
        }
        fs::write(&path, result("a")).unwrap();
        fs::write(dockers.join("cbr0-b-eth0"), result("b")).unwrap();
        cache.update(&Seen::Everything);
        assert_eq!(names(&cache).len(), 2);

        fs::remove_file(&path).unwrap();
        cache.update(&Seen::Paths([path, dir.join("networks/cbr0/10.244.1.2")].into()));
        assert_eq!(names(&cache), ["b"]);
        drop(folder);
        cache.update(&Seen::Everything);
        assert!(names(&cache).is_empty(), "the folder went");
    }
}
