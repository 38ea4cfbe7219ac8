//! Memory that runs short for one process: a control group of its own with a small limit. What the process needs beyond that it
//! does not get, and mostly the kernel kills it for that, in the middle of whatever it does.

use super::LabError;
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long a group may take to be empty once its process has ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// A group with a limit. At its end the process goes back to where it was, and the group is removed.
#[derive(Debug)]
pub struct MemoryLimit {
    path: PathBuf,
    /// Where the process was before.
    home: PathBuf,
    /// Where the kernel counts whom it has killed in the group.
    events: &'static str,
}

impl MemoryLimit {
    /// Leaves a process so many bytes more than it has now.
    ///
    /// # Errors
    /// [`LabError::Io`]: there are no control groups for memory here, or the process has ended.
    pub fn around(pid: u32, bytes: u64) -> Result<Self, LabError> {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (root, controller, file, events) = if v1.is_dir() {
            (v1, "memory", "memory.limit_in_bytes", "memory.oom_control")
        } else {
            (Path::new("/sys/fs/cgroup"), "", "memory.max", "memory.events")
        };
        let list = format!("/proc/{pid}/cgroup");
        let groups = fs::read_to_string(&list).map_err(LabError::io(list))?;
        let of = |line: &str| {
            let mut parts = line.splitn(3, ':').skip(1);
            (parts.next()? == controller).then(|| parts.next().unwrap_or_default().to_owned())
        };
        let home = groups.lines().find_map(of).unwrap_or_default();
        let home = root.join(home.trim_start_matches('/'));
        let path = root.join(format!("palisade-memory-{}-{pid}", std::process::id()));
        fs::create_dir(&path).map_err(LabError::io(path.display().to_string()))?;
        let limit = Self { path, home, events };
        limit.write(file, &bytes.to_string())?;
        // What it has already is counted where it was.
        limit.write("cgroup.procs", &pid.to_string())?;
        Ok(limit)
    }

    /// How often the kernel has killed for want of memory here.
    #[must_use]
    pub fn kills(&self) -> u64 {
        let events = fs::read_to_string(self.path.join(self.events)).unwrap_or_default();
        let count = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    fn write(&self, file: &str, text: &str) -> Result<(), LabError> {
        let file = self.path.join(file);
        fs::write(&file, text).map_err(LabError::io(file.display().to_string()))
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        let procs = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        for pid in procs.lines() {
            // One that ends now cannot be moved, and need not be.
            let _ = fs::write(self.home.join("cgroup.procs"), pid);
        }
        let end = Instant::now() + PATIENCE;
        while fs::remove_dir(&self.path).is_err() && Instant::now() < end {
            thread::sleep(PATIENCE / 500);
        }
    }
}
