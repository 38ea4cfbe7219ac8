//! The state on disk: what is written is what is read, and what is wrong with a file is said and never a crash.

use enforcer::state::{State, StateError, path, read, write};
use policy_model::{
    cluster::{Change, Cluster},
    object::{ObjectKey, Pod},
    strategies,
};
use proptest::prelude::*;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The file in a new folder, which is removed at the end.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self) -> PathBuf {
        path(self.0.path())
    }
}

fn put(file: &Path, changes: impl IntoIterator<Item = Change>) -> std::io::Result<u64> {
    write(file, "w1", &State::of(&changes.into_iter().collect()))
}

/// What is kept: all but Services, and but policies that isolate nobody, which the API cannot say.
fn kept(cluster: &Cluster) -> Vec<Change> {
    let is_kept = |change: &Change| match change {
        Change::Service(_) => false,
        Change::Policy(policy) => policy.ingress.is_some() || policy.egress.is_some(),
        _ => true,
    };
    cluster.changes().filter(is_kept).collect()
}

fn some_cluster() -> Cluster {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let clusters = (0..8).map(|_| strategies::cluster().new_tree(&mut runner).expect("a cluster").current());
    clusters.max_by_key(|cluster| kept(cluster).len()).expect("several")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_is_read(cluster in strategies::cluster()) {
        let folder = Folder::new();
        let changes = kept(&cluster);
        let bytes = put(&folder.file(), changes.clone()).expect("written");
        prop_assert_eq!(fs::metadata(folder.file()).expect("the file").len(), bytes);
        let again = read(&folder.file()).expect("read").expect("a state");
        let wanted: Cluster = changes.into_iter().collect();
        prop_assert_eq!(again.into_iter().collect::<Cluster>(), wanted);
    }

    /// Any cut and any changed byte is noticed.
    #[test]
    fn a_file_that_is_torn_or_changed_is_not_used(at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<bool>()) {
        let folder = Folder::new();
        put(&folder.file(), kept(&some_cluster())).expect("written");
        let mut bytes = fs::read(folder.file()).expect("the file");
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << bit;
        }
        fs::write(folder.file(), &bytes).expect("damaged");
        let state = read(&folder.file());
        // The header's node is the only byte that is for people; it is under the checksum too.
        prop_assert!(state.is_err(), "byte {}: {:?}", at, state.map(|s| s.map(|s| s.len())));
    }
}

fn error(file: &Path) -> StateError {
    read(file).expect_err("not used")
}

#[test]
fn what_is_wrong_is_said() {
    let folder = Folder::new();
    let file = folder.file();
    assert!(read(&file).expect("no file is no fault").is_none());
    fs::write(&file, "").expect("a file");
    assert!(matches!(error(&file), StateError::Header));
    fs::write(&file, "{\"kind\":\"Pod\"}\n").expect("a file");
    assert!(matches!(error(&file), StateError::Header));

    put(&file, kept(&some_cluster())).expect("written");
    let text = fs::read_to_string(&file).expect("text");
    fs::write(&file, text.replacen("\"version\":1", "\"version\":7", 1)).expect("a file");
    assert!(matches!(error(&file), StateError::Version(7)), "another version, whatever follows");
    assert_eq!(error(&file).to_string(), "it is of version 7, and this policyd knows version 1");

    let lines: Vec<&str> = text.lines().collect();
    fs::write(&file, lines[..lines.len() - 1].join("\n") + "\n").expect("a file");
    assert!(matches!(error(&file), StateError::Torn(objects) if objects == lines.len() - 2));
    fs::write(&file, text.replacen("\"Running\"", "\"Pending\"", 1)).expect("a file");
    assert!(matches!(error(&file), StateError::Checksum));

    fs::remove_file(&file).expect("removed");
    fs::create_dir(&file).expect("a folder in its place");
    assert!(matches!(error(&file), StateError::Io(_)));
    assert!(put(&file, []).is_err());
    assert!(!file.with_extension("new").exists(), "the draft is removed");
}

/// On a file system that is full: the old state stays, whole.
#[test]
fn a_full_disk_leaves_the_old_state() {
    use nix::mount::{MntFlags, MsFlags, mount, umount2};
    use nix::sched::{CloneFlags, unshare};
    let folder = Folder::new();
    let dir = folder.0.path().to_owned();
    let work = move || {
        unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace; needs root");
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
            .expect("private");
        mount(Some("none"), &dir, Some("tmpfs"), MsFlags::empty(), Some("size=64k")).expect("a small disk");
        let small: Vec<Change> = kept(&some_cluster()).into_iter().take(3).collect();
        put(&path(&dir), small).expect("it fits");
        let pods = many();
        let failed = put(&path(&dir), pods).expect_err("it does not fit");
        assert_eq!(failed.raw_os_error(), Some(nix::errno::Errno::ENOSPC as i32), "{failed}");
        let state = read(&path(&dir)).expect("whole").expect("there");
        assert_eq!(state.len(), 3);
        assert!(!path(&dir).with_extension("new").exists());
        umount2(&dir, MntFlags::MNT_DETACH).expect("unmounted");
    };
    std::thread::spawn(work).join().expect("as it was");
}

fn many() -> Vec<Change> {
    let changes = kept(&some_cluster());
    let pods = changes.iter().filter_map(|change| match change {
        Change::Pod(pod) => Some(pod),
        _ => None,
    });
    let pod = pods.into_iter().next().expect("a pod").clone();
    let named = |n| ObjectKey::new("many", format!("pod-{n}"));
    (0..2000).map(|n| Change::Pod(Pod { key: named(n), ..pod.clone() })).collect()
}
