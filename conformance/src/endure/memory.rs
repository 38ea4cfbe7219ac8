//! Memory that runs short for one process: a control group of its own with a small limit. What it needs beyond that it does not
//! get, and mostly it is killed for it, in the middle of whatever it does.

use super::error::EndureError;
use crate::enforced::Policyd;
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long a group may take to be empty once its process has ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// A group with a limit; removed at the end.
struct Group {
    path: PathBuf,
    /// Where the process was before.
    home: PathBuf,
}

impl Group {
    /// Puts a process into a group with this limit, in bytes; what it has already counts elsewhere.
    fn around(pid: u32, limit: u64) -> Result<Self, EndureError> {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (root, controller, file) = if v1.is_dir() {
            (v1, "memory", "memory.limit_in_bytes")
        } else {
            (Path::new("/sys/fs/cgroup"), "", "memory.max")
        };
        let list = PathBuf::from(format!("/proc/{pid}/cgroup"));
        let groups = fs::read_to_string(&list).map_err(EndureError::write(&list))?;
        let of = |line: &str| {
            let mut parts = line.splitn(3, ':').skip(1);
            (parts.next()? == controller).then(|| parts.next().unwrap_or_default().to_owned())
        };
        let home = groups.lines().find_map(of).unwrap_or_default();
        let home = root.join(home.trim_start_matches('/'));
        let path = root.join(format!("palisade-endure-{}-{pid}", std::process::id()));
        fs::create_dir(&path).map_err(EndureError::write(&path))?;
        let group = Self { path, home };
        group.write(file, &limit.to_string())?;
        group.write("cgroup.procs", &pid.to_string())?;
        Ok(group)
    }

    fn write(&self, file: &str, text: &str) -> Result<(), EndureError> {
        let file = self.path.join(file);
        fs::write(&file, text).map_err(EndureError::write(&file))
    }
}

impl Drop for Group {
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

/// Leaves `policyd` so many bytes more than it has, for a while. If that has killed it, it is started again.
pub(super) fn short(policyd: &mut Policyd, limit: u64, time: Duration) -> Result<(), EndureError> {
    let pid = policyd.pid();
    let group = Group::around(pid, limit)?;
    thread::sleep(time);
    let alive = is_alive(pid);
    if !alive {
        policyd.kill();
    }
    drop(group);
    if !alive {
        policyd.restart()?;
    }
    Ok(())
}

/// Whether a child has not ended; one that nobody has waited for is a zombie then.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}
