//! A node's control groups: one folder in each hierarchy of the machine, `<cluster>/<node>`.

use crate::cluster::ClusterError;
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

const ROOT: &str = "/sys/fs/cgroup";
/// How long processes that were killed may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes them. The cluster's reaper removes them.
pub(super) fn create(cluster: &str, node: &str) -> Result<(), ClusterError> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        return delegate(root, cluster, node);
    }
    let entries = fs::read_dir(root).map_err(ClusterError::io(ROOT))?;
    for hierarchy in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if hierarchy.ends_with("unified") || !hierarchy.join("cgroup.procs").exists() {
            continue;
        }
        let group = hierarchy.join(cluster);
        make(&group.join(node))?;
        // Nothing may run in a group of this hierarchy before it has processors and memory.
        for file in ["cpuset.mems", "cpuset.cpus"] {
            if !hierarchy.join(file).exists() {
                continue;
            }
            for (from, to) in [(&hierarchy, &group), (&group, &group.join(node))] {
                let value = fs::read_to_string(from.join(file)).map_err(ClusterError::io(file))?;
                write(&to.join(file), value.trim())?;
            }
        }
    }
    Ok(())
}

/// Removes what a node's containers had below its own: a kernel that boots has none of it. The node's processes are ending; their groups
/// can be removed once they have.
pub(super) fn forget(cluster: &str, node: &str) -> Result<(), ClusterError> {
    let root = Path::new(ROOT);
    let entries = fs::read_dir(root).map_err(ClusterError::io(ROOT))?;
    for folder in entries.filter_map(|entry| Some(entry.ok()?.path())).chain([root.to_owned()]) {
        let end = Instant::now() + PATIENCE;
        for group in groups_below(&folder.join(cluster).join(node)) {
            while let Err(error) = fs::remove_dir(&group) {
                match error.kind() {
                    ErrorKind::NotFound => break,
                    ErrorKind::ResourceBusy if Instant::now() < end => thread::sleep(PATIENCE / 100),
                    _ => return Err(ClusterError::io(group.display().to_string())(error)),
                }
            }
        }
    }
    Ok(())
}

/// All folders below one, each after those that are in it.
fn groups_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(groups_below(&entry.path()));
            found.push(entry.path());
        }
    }
    found
}

/// In the only hierarchy of version 2, controllers are handed down from group to group.
fn delegate(root: &Path, cluster: &str, node: &str) -> Result<(), ClusterError> {
    let group = root.join(cluster);
    make(&group.join(node))?;
    for folder in [root, &group] {
        let file = folder.join("cgroup.controllers");
        let controllers = fs::read_to_string(&file).map_err(ClusterError::io(file.display().to_string()))?;
        for controller in controllers.split_whitespace() {
            write(&folder.join("cgroup.subtree_control"), &format!("+{controller}"))?;
        }
    }
    Ok(())
}

fn make(group: &Path) -> Result<(), ClusterError> {
    fs::create_dir_all(group).map_err(ClusterError::io(group.display().to_string()))
}

fn write(file: &Path, value: &str) -> Result<(), ClusterError> {
    fs::write(file, value).map_err(ClusterError::io(file.display().to_string()))
}
