//! A `policyd` that is short of memory.

use super::error::EndureError;
use crate::{enforced::Policyd, lab::MemoryLimit};
use std::{fs, thread, time::Duration};

/// Leaves `policyd` so many bytes more than it has, for a while. If it has ended for that, it is started again. Gives how often the
/// kernel has killed it.
pub(super) fn short(policyd: &mut Policyd, limit: u64, time: Duration) -> Result<u64, EndureError> {
    let pid = policyd.pid();
    let limit = MemoryLimit::around(pid, limit)?;
    thread::sleep(time);
    let alive = is_alive(pid);
    if !alive {
        policyd.kill();
    }
    let kills = limit.kills();
    drop(limit);
    if !alive {
        policyd.restart()?;
    }
    Ok(kills)
}

/// Whether a child has not ended; one that nobody has waited for is a zombie then.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}
