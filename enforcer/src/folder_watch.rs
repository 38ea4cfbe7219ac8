//! What changes in a folder and its sub folders, by inotify.
//!
//! Used for the folder of manifests and for CNI's result files. Both are written in place by some and renamed into place
//! by others, so a file counts as changed when it is closed, renamed, linked or gone, and not while it is written.

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor},
};
use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// What a reader has to look at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// These files were written, renamed or removed.
    Paths(BTreeSet<PathBuf>),
    /// Folders changed, or the kernel lost count: every file may be another.
    Everything,
}

/// Changes come in company: an editor renames and removes, other tools write many files in a row.
const QUIET: Duration = Duration::from_millis(2);
/// However busy the folder is, a reader learns of changes after this long.
const LONGEST: Duration = Duration::from_millis(50);

const EVENTS: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF);

/// What events have said so far.
#[derive(Default)]
struct Noted {
    paths: BTreeSet<PathBuf>,
    everything: bool,
}

/// Readable when something has changed.
impl AsFd for FolderWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// Watches a folder that may be missing, be removed and come back.
#[derive(Debug)]
pub struct FolderWatch {
    root: PathBuf,
    inotify: Inotify,
    folders: HashMap<WatchDescriptor, PathBuf>,
}

impl FolderWatch {
    /// Watches from now on: read the folder after this, and no change is lost.
    ///
    /// # Errors
    /// The kernel gives no inotify instance or no more watches (`fs.inotify.max_user_instances`, `max_user_watches`).
    pub fn new(root: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let mut watch = Self { root: root.to_owned(), inotify, folders: HashMap::new() };
        watch.arm()?;
        Ok(watch)
    }

    /// Watches the root and every folder in it; where the root is missing, the nearest folder above it that exists.
    fn arm(&mut self) -> io::Result<()> {
        self.inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        self.folders.clear();
        let mut waiting = vec![self.root.clone()];
        while let Some(folder) = waiting.pop() {
            if self.add(&folder)? {
                waiting.extend(sub_folders(&folder));
            }
        }
        for folder in self.root.clone().ancestors().skip(1) {
            if !self.folders.is_empty() {
                break;
            }
            self.add(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?;
        }
        Ok(())
    }

    fn add(&mut self, folder: &Path) -> io::Result<bool> {
        match self.inotify.add_watch(folder, EVENTS | AddWatchFlags::IN_ONLYDIR) {
            // A folder that is watched already: symbolic links lead in a circle.
            Ok(descriptor) if self.folders.contains_key(&descriptor) => Ok(false),
            Ok(descriptor) => {
                self.folders.insert(descriptor, folder.to_owned());
                Ok(true)
            }
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Blocks until something has changed and no more follows for a moment; with the time of the first change. `None`:
    /// `patience` is over.
    ///
    /// # Errors
    /// The kernel refuses new watches.
    pub fn wait(&mut self, patience: Option<Duration>) -> io::Result<Option<(Seen, Instant)>> {
        if !self.readable(patience)? {
            return Ok(None);
        }
        let begin = Instant::now();
        let mut noted = Noted::default();
        loop {
            self.drain(&mut noted)?;
            if begin.elapsed() >= LONGEST || !self.readable(Some(QUIET))? {
                break;
            }
        }
        Ok(Some((self.seen(noted)?, begin)))
    }

    /// What has changed by now, without waiting for anything. `None`: nothing has.
    ///
    /// # Errors
    /// The kernel refuses new watches.
    pub fn now(&mut self) -> io::Result<Option<Seen>> {
        let mut noted = Noted::default();
        let mut any = false;
        while self.readable(Some(Duration::ZERO))? {
            self.drain(&mut noted)?;
            any = true;
        }
        any.then(|| self.seen(noted)).transpose()
    }

    fn drain(&self, noted: &mut Noted) -> io::Result<()> {
        match self.inotify.read_events() {
            Ok(events) => {
                for event in events {
                    noted.everything |= !self.note(&event, &mut noted.paths);
                }
                Ok(())
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn seen(&mut self, noted: Noted) -> io::Result<Seen> {
        if noted.everything {
            self.arm()?;
            return Ok(Seen::Everything);
        }
        Ok(Seen::Paths(noted.paths))
    }

    fn readable(&self, patience: Option<Duration>) -> io::Result<bool> {
        let timeout = match patience {
            Some(patience) => PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        let mut fds = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Adds the path of an event. `false`: the event is about more than one file.
    fn note(&self, event: &InotifyEvent, paths: &mut BTreeSet<PathBuf>) -> bool {
        const FOLDER_ITSELF: AddWatchFlags = AddWatchFlags::IN_DELETE_SELF
            .union(AddWatchFlags::IN_MOVE_SELF)
            .union(AddWatchFlags::IN_IGNORED)
            .union(AddWatchFlags::IN_Q_OVERFLOW)
            .union(AddWatchFlags::IN_UNMOUNT)
            .union(AddWatchFlags::IN_ISDIR);
        let (Some(folder), Some(name)) = (self.folders.get(&event.wd), &event.name) else { return false };
        let path = folder.join(name);
        // Above the root, or a symbolic link to a folder (how a ConfigMap is swapped): look at everything.
        if event.mask.intersects(FOLDER_ITSELF) || !folder.starts_with(&self.root) || path.is_dir() {
            return false;
        }
        if event.mask.contains(AddWatchFlags::IN_CREATE) && is_being_written(&path) {
            return true;
        }
        paths.insert(path);
        true
    }
}

/// What is in a folder; one that is not there has nothing in it.
pub(crate) fn paths_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

/// A regular file that was just made is closed later; a link is whole at once.
fn is_being_written(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.is_file() && m.nlink() == 1)
}

/// Folders in a folder, also through symbolic links, but not hidden ones: a ConfigMap's `..data` holds what its links show.
fn sub_folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let shown = entries.filter(|e| !e.file_name().as_encoded_bytes().starts_with(b"."));
    shown.map(|e| e.path()).filter(|path| path.is_dir()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// A folder of its own under the system's temporary folder, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("palisade-watch-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    const SOON: Option<Duration> = Some(Duration::from_secs(5));
    const NOTHING_COMES: Option<Duration> = Some(Duration::from_millis(30));

    fn seen(watch: &mut FolderWatch) -> Option<Seen> {
        watch.wait(SOON).unwrap().map(|(seen, _)| seen)
    }

    fn paths(paths: &[&Path]) -> Option<Seen> {
        Some(Seen::Paths(paths.iter().map(|p| p.to_path_buf()).collect()))
    }

    #[test]
    fn a_file_counts_when_it_is_closed() {
        let folder = Folder::new("closed");
        let mut watch = FolderWatch::new(&folder.0).unwrap();
        let path = folder.0.join("a.yaml");
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert_eq!(seen(&mut watch), paths(&[]), "made, not closed");
        drop(file);
        assert_eq!(seen(&mut watch), paths(&[&path]));
        assert_eq!(watch.wait(NOTHING_COMES).unwrap(), None);
    }

    #[test]
    fn renames_links_and_removals_count_at_once() {
        let folder = Folder::new("renames");
        let (a, b, c) = (folder.0.join("a"), folder.0.join("b"), folder.0.join("c"));
        fs::write(&a, "1").unwrap();
        let mut watch = FolderWatch::new(&folder.0).unwrap();
        fs::rename(&a, &b).unwrap();
        assert_eq!(seen(&mut watch), paths(&[&a, &b]));
        std::os::unix::fs::symlink(&b, &c).unwrap();
        assert_eq!(seen(&mut watch), paths(&[&c]));
        fs::remove_file(&c).unwrap();
        assert_eq!(seen(&mut watch), paths(&[&c]));
    }

    #[test]
    fn new_folders_are_watched_too() {
        let folder = Folder::new("nested");
        let mut watch = FolderWatch::new(&folder.0).unwrap();
        let sub = folder.0.join("sub");
        fs::create_dir(&sub).unwrap();
        assert_eq!(seen(&mut watch), Some(Seen::Everything));
        fs::write(sub.join("x"), "1").unwrap();
        assert_eq!(seen(&mut watch), paths(&[&sub.join("x")]));
    }

    #[test]
    fn a_root_that_is_missing_or_goes_away_is_waited_for() {
        let folder = Folder::new("missing");
        let root = folder.0.join("cni/results");
        let mut watch = FolderWatch::new(&root).unwrap();
        for round in 0..2 {
            fs::create_dir_all(&root).unwrap();
            assert_eq!(seen(&mut watch), Some(Seen::Everything), "round {round}: comes");
            fs::write(root.join("x"), "1").unwrap();
            assert_eq!(seen(&mut watch), paths(&[&root.join("x")]), "round {round}: is watched");
            fs::remove_dir_all(folder.0.join("cni")).unwrap();
            assert_eq!(seen(&mut watch), Some(Seen::Everything), "round {round}: goes");
        }
    }

    #[test]
    fn events_that_the_kernel_had_to_drop_are_everything() {
        let folder = Folder::new("overflow");
        let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let limit: usize = limit.trim().parse().unwrap();
        let names = ["a", "b"].map(|name| folder.0.join(name));
        fs::write(&names[0], "1").unwrap();
        let mut watch = FolderWatch::new(&folder.0).unwrap();
        // Each is two events: from there, to here.
        for n in 0..=limit / 2 {
            fs::rename(&names[n % 2], &names[(n + 1) % 2]).unwrap();
        }
        assert_eq!(watch.now().unwrap(), Some(Seen::Everything));
        let path = folder.0.join("c");
        fs::write(&path, "1").unwrap();
        assert_eq!(seen(&mut watch), paths(&[&path]), "the new watch has lost nothing");
    }

    #[test]
    fn a_swapped_config_map_is_everything() {
        let folder = Folder::new("configmap");
        let version = |v: &str| folder.0.join(format!("..{v}"));
        for v in ["1", "2"] {
            fs::create_dir(version(v)).unwrap();
        }
        let (data, next) = (folder.0.join("..data"), folder.0.join("..data_tmp"));
        std::os::unix::fs::symlink(version("1"), &data).unwrap();
        let mut watch = FolderWatch::new(&folder.0).unwrap();
        std::os::unix::fs::symlink(version("2"), &next).unwrap();
        fs::rename(&next, &data).unwrap();
        assert_eq!(seen(&mut watch), Some(Seen::Everything));
    }
}
