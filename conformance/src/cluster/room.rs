//! Whether this machine has room for a cluster: looked at before anything starts, since one that runs out half-way ends what it likes.

use super::ClusterError;
use crate::lab::ownership::DISK_DIR;
use nix::sys::statvfs::statvfs;
use std::{fs, path::Path};

/// Megabytes of memory that a cluster of three workers takes while it boots, with room for some pods.
const MEMORY: u64 = 2 << 10;
/// Megabytes of disk for each node: its images and its pods' files. Measured: 340.
const DISK_PER_NODE: u64 = 512;
/// Kubelets remove pods when less than this part of the disk is free (`nodefs.available` of their configuration).
const EVICTION_PERCENT: u64 = 1;

/// Fails if a cluster of so many workers has too little memory or disk.
pub(super) fn require(workers: u8) -> Result<(), ClusterError> {
    let text = fs::read_to_string("/proc/meminfo").map_err(ClusterError::io("/proc/meminfo"))?;
    memory(&text)?;
    let mut folder = Path::new(DISK_DIR);
    while let (false, Some(parent)) = (folder.exists(), folder.parent()) {
        folder = parent;
    }
    let stat = statvfs(folder).map_err(|e| ClusterError::io(folder.display().to_string())(e.into()))?;
    let megabytes = |blocks: u64| (blocks * stat.fragment_size()) >> 20;
    disk(workers, megabytes(stat.blocks_available()), megabytes(stat.blocks()))
}

/// `text` is `/proc/meminfo`; of a kernel that does not say what is available nothing is known.
fn memory(text: &str) -> Result<(), ClusterError> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    match kilobytes.map(|kilobytes| kilobytes >> 10) {
        Some(free) if free < MEMORY => Err(ClusterError::NoMemory { free, needed: MEMORY }),
        _ => Ok(()),
    }
}

/// All in megabytes.
fn disk(workers: u8, free: u64, size: u64) -> Result<(), ClusterError> {
    let needed = DISK_PER_NODE * u64::from(workers) + size * EVICTION_PERCENT / 100;
    if free < needed {
        return Err(ClusterError::NoDisk { folder: DISK_DIR, free, needed });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_memory_or_disk_is_said_with_what_there_is_and_what_is_needed() {
        assert!(memory("MemTotal: 1 kB\nMemAvailable:    2097152 kB\n").is_ok());
        let error = memory("MemAvailable:    1048576 kB\n").unwrap_err().to_string();
        assert!(error.starts_with("1024 MB of memory are available, and a cluster takes 2048 MB"), "{error}");
        assert!(disk(3, 3000, 100_000).is_ok());
        let error = disk(3, 2000, 100_000).unwrap_err().to_string();
        assert!(
            error.starts_with("/var/lib/palisade-lab: 2000 MB are free, and a cluster takes 2536 MB"),
            "{error}"
        );
    }
}
