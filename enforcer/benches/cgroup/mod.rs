//! What the kernel holds on behalf of this process: a memory cgroup of its own, version 1 or 2.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// This process's cgroup, until it is dropped: then the process is where it was.
pub(crate) struct Cgroup {
    folder: PathBuf,
    before: PathBuf,
}

/// Where memory cgroups are, this process's own among them, by `/proc/self/cgroup`.
fn own() -> io::Result<(PathBuf, bool)> {
    let text = fs::read_to_string("/proc/self/cgroup")?;
    let lines = || text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let root = Path::new("/sys/fs/cgroup");
    if let Some((_, path)) = lines().find(|(kinds, _)| kinds.split(',').any(|kind| kind == "memory")) {
        return Ok((root.join("memory").join(path.trim_start_matches('/')), true));
    }
    let path = lines().find(|(kinds, _)| kinds.is_empty()).map_or("", |(_, path)| path);
    Ok((root.join(path.trim_start_matches('/')), false))
}

impl Cgroup {
    /// Makes one beside the process's own and moves the process there.
    pub(crate) fn enter() -> io::Result<Self> {
        let (before, is_first) = own()?;
        // In version 2 a cgroup with processes has none below it.
        let parent = if is_first { &*before } else { before.parent().unwrap_or(&before) };
        let folder = parent.join(format!("palisade-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let cgroup = Self { folder, before };
        fs::write(cgroup.folder.join("cgroup.procs"), std::process::id().to_string())?;
        Ok(cgroup)
    }

    /// Kernel memory charged to it now.
    pub(crate) fn kernel_bytes(&self) -> Result<u64, String> {
        let first = fs::read_to_string(self.folder.join("memory.kmem.usage_in_bytes")).ok();
        let second = || {
            let text = fs::read_to_string(self.folder.join("memory.stat")).ok()?;
            text.lines().find_map(|line| line.strip_prefix("kernel ")).map(str::to_owned)
        };
        let bytes = first.or_else(second).and_then(|text| text.trim().parse().ok());
        bytes.ok_or_else(|| format!("{} does not tell its kernel memory", self.folder.display()))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::write(self.before.join("cgroup.procs"), std::process::id().to_string());
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Slabs that cannot be reclaimed and vmalloc of the whole machine, in bytes: whatever else goes on is in it.
pub(crate) fn machine() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default()
    };
    (field("SUnreclaim") + field("VmallocUsed")) * 1024
}
