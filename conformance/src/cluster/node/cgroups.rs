//! A node's control groups: one folder in each hierarchy of the machine, `<cluster>/<node>`.

use crate::cluster::ClusterError;
use std::{fs, path::Path};

const ROOT: &str = "/sys/fs/cgroup";

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
