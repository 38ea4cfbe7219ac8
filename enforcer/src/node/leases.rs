//! host-local's leases: which sandbox an address is reserved for, before anything else names it.
//!
//! Source: containernetworking/plugins `plugins/ipam/host-local/backend/disk`. A file `<network>/<address>` holds the
//! sandbox's id and the name of its interface; it is made once the veth exists and before `eth0` has the address, and it is
//! the first thing that CNI DEL takes away. The files outlive reboots and failed ADDs, so that a lease alone is nobody's.

use crate::folder_watch::{Seen, paths_in};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tracing::warn;

/// Every lease of a folder of networks, and the addresses that were given back.
#[derive(Debug)]
pub(super) struct Leases {
    folder: PathBuf,
    /// By file, with the address and the sandbox that it is reserved for; empty while the file is.
    held: BTreeMap<PathBuf, (IpAddr, Arc<str>)>,
    /// Addresses whose lease was deleted, with the folder of their network, until they are leased again.
    freed: BTreeMap<IpAddr, PathBuf>,
}

impl Leases {
    /// Of a folder with one folder a network; nothing is read yet.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, held: BTreeMap::new(), freed: BTreeMap::new() }
    }

    /// Reads what has changed. A folder that is not there has no leases, and gives none back: it was wiped.
    pub(super) fn update(&mut self, seen: &Seen) {
        match seen {
            Seen::Paths(paths) => {
                for path in paths {
                    if path.starts_with(&self.folder) {
                        self.read(path);
                    }
                }
            }
            Seen::Everything => match leases_in(&self.folder) {
                Ok(paths) => {
                    let gone = self.held.keys().filter(|path| !paths.contains(*path)).cloned();
                    for path in gone.collect::<Vec<_>>() {
                        if let Some((address, _)) = self.held.remove(&path) {
                            self.free(&path, address);
                        }
                    }
                    paths.iter().for_each(|path| self.read(path));
                }
                Err(error) => {
                    warn!(folder = %self.folder.display(), %error, "host-local's leases cannot be listed")
                }
            },
        }
        self.freed.retain(|_, network| network.is_dir());
    }

    /// Addresses that are leased to a sandbox, with its id.
    pub(super) fn held(&self) -> impl Iterator<Item = (IpAddr, &Arc<str>)> {
        self.held.values().map(|(address, container)| (*address, container))
    }

    /// Addresses that were given back and not leased again.
    pub(super) fn freed(&self) -> BTreeSet<IpAddr> {
        self.freed.keys().copied().collect()
    }

    /// What was given back and is used all the same was not given back by CNI: somebody has tidied the files up.
    pub(super) fn take_back(&mut self, used: impl Fn(IpAddr) -> bool) {
        self.freed.retain(|address, _| !used(*address));
    }

    fn read(&mut self, path: &Path) {
        let name = path.file_name().and_then(|name| name.to_str());
        // Not a lease: `lock`, `last_reserved_ip.0`.
        let Some(address) = name.and_then(|name| name.parse::<IpAddr>().ok()) else { return };
        match fs::read_to_string(path) {
            Ok(text) => {
                let container = text.lines().next().unwrap_or_default().trim();
                self.freed.remove(&address);
                self.held.insert(path.to_owned(), (address, container.into()));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                if self.held.remove(path).is_some() {
                    self.free(path, address);
                }
            }
            Err(error) => warn!(file = %path.display(), %error, "a lease cannot be read; what it said stays"),
        }
    }

    fn free(&mut self, path: &Path, address: IpAddr) {
        let network = path.parent().unwrap_or(&self.folder);
        if !self.held.values().any(|(held, _)| *held == address) {
            self.freed.insert(address, network.to_owned());
        }
    }
}

/// Every file in a folder of the folder.
fn leases_in(folder: &Path) -> io::Result<HashSet<PathBuf>> {
    let mut files = HashSet::new();
    for network in paths_in(folder)?.into_iter().filter(|path| path.is_dir()) {
        // It may go while we look.
        files.extend(paths_in(&network)?);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    struct Folder(TempDir);

    impl Folder {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("cbr0")).unwrap();
            Self(folder)
        }

        fn path(&self) -> PathBuf {
            self.0.path().to_owned()
        }

        fn lease(&self, address: &str, text: &str) -> PathBuf {
            let path = self.path().join("cbr0").join(address);
            fs::write(&path, text).unwrap();
            path
        }
    }

    fn held(leases: &Leases) -> Vec<(String, String)> {
        leases.held().map(|(address, container)| (address.to_string(), container.to_string())).collect()
    }

    fn freed(leases: &Leases) -> Vec<String> {
        leases.freed().iter().map(ToString::to_string).collect()
    }

    fn paths(path: &Path) -> Seen {
        Seen::Paths([path.to_owned()].into())
    }

    #[test]
    fn leases_are_read_in_both_families_and_other_files_are_none() {
        let folder = Folder::new();
        folder.lease("10.244.1.2", "c1\r\neth0");
        folder.lease("fd00::2", "c1\r\neth0");
        folder.lease("10.244.1.3", "c2");
        for other in ["lock", "last_reserved_ip.0"] {
            folder.lease(other, "10.244.1.2");
        }
        let mut leases = Leases::new(folder.path());
        leases.update(&Seen::Everything);
        let pair = |a: &str, c: &str| (a.to_owned(), c.to_owned());
        assert_eq!(
            held(&leases),
            [pair("10.244.1.2", "c1"), pair("10.244.1.3", "c2"), pair("fd00::2", "c1")]
        );
        assert!(freed(&leases).is_empty());
    }

    #[test]
    fn an_address_is_free_once_its_lease_is_deleted_until_it_is_leased_again() {
        let folder = Folder::new();
        let path = folder.lease("10.244.1.2", "c1");
        let mut leases = Leases::new(folder.path());
        for everything in [false, true] {
            folder.lease("10.244.1.2", "c1");
            leases.update(&paths(&path));
            assert!(freed(&leases).is_empty());
            fs::remove_file(&path).unwrap();
            leases.update(&if everything { Seen::Everything } else { paths(&path) });
            assert_eq!((held(&leases).len(), freed(&leases)), (0, vec!["10.244.1.2".to_owned()]));
        }
        leases.take_back(|_| false);
        assert_eq!(freed(&leases).len(), 1);
        leases.take_back(|address| address.to_string() == "10.244.1.2");
        assert!(freed(&leases).is_empty(), "its pod lives");
    }

    #[test]
    fn a_wiped_folder_gives_nothing_back() {
        let folder = Folder::new();
        let path = folder.lease("10.244.1.2", "c1");
        let mut leases = Leases::new(folder.path());
        leases.update(&Seen::Everything);
        // One file after the other, then the folder: as rm -r does it.
        fs::remove_file(&path).unwrap();
        leases.update(&paths(&path));
        assert_eq!(freed(&leases).len(), 1);
        fs::remove_dir(folder.path().join("cbr0")).unwrap();
        leases.update(&Seen::Everything);
        assert_eq!((held(&leases).len(), freed(&leases).len()), (0, 0));
    }
}
