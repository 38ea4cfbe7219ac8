//! The files of the folder: which there are, and which have changed since they were read.

use super::{fault::Fault, holdings::Holdings};
use crate::folder_watch::Seen;
use policy_model::{cluster::Change, manifest};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Why the folder cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is nothing at that path.
    #[error("{0}: no such folder")]
    Missing(PathBuf),
    /// There is something else.
    #[error("{0}: not a folder")]
    NotAFolder(PathBuf),
    /// It cannot be listed.
    #[error("{path}: the folder cannot be listed: {source}")]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// What tells that a file is another, or says something else: device, inode, size, and both times in nanoseconds.
type Stamp = [i128; 5];

/// A folder of manifests with what was read of it: all `.yaml`, `.yml` and `.json` files, sub folders too.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    stamps: BTreeMap<PathBuf, Stamp>,
    holdings: Holdings,
}

impl Folder {
    /// Checks that the folder is there; nothing is read yet.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(root: &Path) -> Result<Self, OpenError> {
        match fs::metadata(root) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(OpenError::NotAFolder(root.to_owned())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(OpenError::Missing(root.to_owned())),
            Err(source) => return Err(OpenError::Unreadable { path: root.to_owned(), source }),
        }
        fs::read_dir(root).map_err(|source| OpenError::Unreadable { path: root.to_owned(), source })?;
        Ok(Self { root: root.to_owned(), stamps: BTreeMap::new(), holdings: Holdings::default() })
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads every file that is new or another, and returns what that changes.
    ///
    /// # Errors
    /// The folder cannot be listed, or is gone: then everything stays as it was read.
    pub fn rescan(&mut self) -> io::Result<Vec<Change>> {
        let mut found = BTreeSet::new();
        list(&self.root, &mut found, &mut HashSet::new())?;
        let gone: Vec<Arc<Path>> =
            self.holdings.paths().filter(|path| !found.contains(&***path)).cloned().collect();
        let mut changes: Vec<Change> = gone.iter().flat_map(|path| self.forget(path)).collect();
        for path in &found {
            if stamp(path).is_none_or(|stamp| self.stamps.get(path) != Some(&stamp)) {
                changes.extend(self.read(path));
            }
        }
        Ok(changes)
    }

    /// Reads what a watch has seen, and returns what that changes.
    ///
    /// # Errors
    /// As [`Self::rescan`].
    pub fn update(&mut self, seen: &Seen) -> io::Result<Vec<Change>> {
        match seen {
            Seen::Everything => self.rescan(),
            Seen::Paths(paths) => {
                Ok(paths.iter().filter(|path| is_manifest(path)).flat_map(|path| self.read(path)).collect())
            }
        }
    }

    /// Everything that is wrong now.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut texts: HashMap<PathBuf, Arc<str>> = HashMap::new();
        self.holdings.faults(|path| {
            // Of a file that has changed meanwhile, or is gone, what is there is shown.
            let read = || fs::read_to_string(path).unwrap_or_default().into();
            texts.entry(path.to_owned()).or_insert_with(read).clone()
        })
    }

    /// How many objects are in force.
    #[must_use]
    pub fn objects(&self) -> usize {
        self.holdings.len()
    }

    fn read(&mut self, path: &Path) -> Vec<Change> {
        // The stamp first: a file that is written meanwhile is read again.
        let stamp = stamp(path);
        match fs::read(path).map(String::from_utf8) {
            Ok(Ok(text)) => {
                self.stamps.extend(stamp.map(|stamp| (path.to_owned(), stamp)));
                let parsed = manifest::parse(&path.display().to_string(), &text);
                self.holdings.set(path, Arc::from(text), parsed)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.forget(path),
            Ok(Err(e)) => self.unreadable(path, &e.utf8_error()),
            Err(e) => self.unreadable(path, &e),
        }
    }

    fn unreadable(&mut self, path: &Path, reason: &impl std::fmt::Display) -> Vec<Change> {
        self.stamps.remove(path);
        self.holdings.set_unreadable(path, Fault::unreadable(path, reason));
        Vec::new()
    }

    fn forget(&mut self, path: &Path) -> Vec<Change> {
        self.stamps.remove(path);
        self.holdings.remove(path)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let m = fs::metadata(path).ok()?;
    let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    let (modified, changed) =
        (nanoseconds(m.mtime(), m.mtime_nsec()), nanoseconds(m.ctime(), m.ctime_nsec()));
    Some([m.dev().into(), m.ino().into(), m.size().into(), modified, changed])
}

/// Hidden files are editors' and ConfigMaps' own.
fn is_manifest(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|e| ["yaml", "yml", "json"].iter().any(|known| e == *known))
}

/// Collects manifests. `visited` has folders by device and inode: symbolic links may lead in a circle.
fn list(folder: &Path, found: &mut BTreeSet<PathBuf>, visited: &mut HashSet<(u64, u64)>) -> io::Result<()> {
    let metadata = fs::metadata(folder)?;
    if !visited.insert((metadata.dev(), metadata.ino())) {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden {
            continue;
        }
        if path.is_dir() {
            // A sub folder that vanishes meanwhile has no files.
            match list(&path, found, visited) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        } else if is_manifest(&path) {
            found.insert(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("palisade-folder-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn namespace(name: &str) -> String {
        format!("{{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {{\"name\": \"{name}\"}}}}")
    }

    fn names(changes: Vec<Change>) -> Vec<String> {
        let name = |change| match change {
            Change::Namespace(namespace) => namespace.name.to_string(),
            Change::NamespaceDeleted(name) => format!("-{name}"),
            other => format!("{other:?}"),
        };
        changes.into_iter().map(name).collect()
    }

    #[test]
    fn manifests_are_found_by_their_ending_in_sub_folders_too_and_never_in_a_circle() {
        let scratch = Scratch::new("found");
        for (i, name) in
            ["a.yaml", "b.yml", "deep/er/c.json", "no.txt", ".hidden.yaml", ".git/x.yaml"].iter().enumerate()
        {
            scratch.write(name, &namespace(&format!("n{i}")));
        }
        std::os::unix::fs::symlink(&scratch.0, scratch.0.join("deep/circle")).unwrap();
        let mut folder = Folder::open(&scratch.0).unwrap();
        assert_eq!(names(folder.rescan().unwrap()), ["n0", "n1", "n2"]);
    }

    #[test]
    fn a_rescan_reads_only_what_is_another() {
        let scratch = Scratch::new("rescan");
        scratch.write("a.yaml", &namespace("a"));
        scratch.write("b.yaml", &namespace("b"));
        let mut folder = Folder::open(&scratch.0).unwrap();
        folder.rescan().unwrap();
        // What was read of a file that has not changed is not asked for again: break the memory of it to see that.
        folder.holdings.set(&scratch.0.join("a.yaml"), "".into(), manifest::parse("a.yaml", ""));
        std::thread::sleep(Duration::from_millis(10));
        scratch.write("b.yaml", &namespace("c"));
        assert_eq!(names(folder.rescan().unwrap()), ["-b", "c"], "a.yaml is not read again");
    }

    #[test]
    fn what_a_watch_names_is_read_whatever_its_times_say() {
        let scratch = Scratch::new("named");
        scratch.write("a.yaml", &namespace("a"));
        let mut folder = Folder::open(&scratch.0).unwrap();
        folder.rescan().unwrap();
        fs::remove_file(scratch.0.join("a.yaml")).unwrap();
        let paths = ["a.yaml", "never.txt"].map(|name| scratch.0.join(name)).into();
        assert_eq!(names(folder.update(&Seen::Paths(paths)).unwrap()), ["-a"]);
    }

    #[test]
    fn a_config_map_is_read_through_its_links() {
        use std::os::unix::fs::symlink;
        let scratch = Scratch::new("configmap");
        scratch.write("..1/a.yaml", &namespace("a"));
        scratch.write("..1/b.yaml", &namespace("b"));
        scratch.write("..2/a.yaml", &namespace("c"));
        symlink("..1", scratch.0.join("..data")).unwrap();
        for name in ["a.yaml", "b.yaml"] {
            symlink(format!("..data/{name}"), scratch.0.join(name)).unwrap();
        }
        let mut folder = Folder::open(&scratch.0).unwrap();
        assert_eq!(names(folder.rescan().unwrap()), ["a", "b"]);
        symlink("..2", scratch.0.join("..next")).unwrap();
        fs::rename(scratch.0.join("..next"), scratch.0.join("..data")).unwrap();
        assert_eq!(names(folder.rescan().unwrap()), ["-a", "c", "-b"], "b.yaml leads nowhere now");
    }

    #[test]
    fn a_file_that_is_no_text_is_a_fault_and_nothing_else() {
        let scratch = Scratch::new("binary");
        scratch.write("a.yaml", &namespace("a"));
        fs::write(scratch.0.join("b.yaml"), [0xff, 0xfe, 0]).unwrap();
        let mut folder = Folder::open(&scratch.0).unwrap();
        assert_eq!(names(folder.rescan().unwrap()), ["a"]);
        let [fault] = &folder.faults()[..] else { panic!("one fault") };
        assert!(fault.line().contains("b.yaml: cannot be read: invalid utf-8"), "{}", fault.line());
    }

    #[test]
    fn a_folder_that_goes_away_leaves_everything_in_force() {
        let scratch = Scratch::new("gone");
        scratch.write("in/a.yaml", &namespace("a"));
        let mut folder = Folder::open(&scratch.0.join("in")).unwrap();
        folder.rescan().unwrap();
        fs::remove_dir_all(scratch.0.join("in")).unwrap();
        assert!(folder.update(&Seen::Everything).is_err());
        assert_eq!(folder.objects(), 1);
        scratch.write("in/b.yaml", &namespace("b"));
        assert_eq!(names(folder.update(&Seen::Everything).unwrap()), ["-a", "b"], "it is back");
    }

    #[test]
    fn what_is_no_folder_is_told_apart() {
        let scratch = Scratch::new("open");
        scratch.write("file", "");
        let said = |name: &str| Folder::open(&scratch.0.join(name)).unwrap_err().to_string();
        assert!(said("missing").ends_with("/missing: no such folder"));
        assert!(said("file").ends_with("/file: not a folder"));
    }
}
