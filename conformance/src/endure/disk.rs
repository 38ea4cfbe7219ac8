//! What becomes of a daemon's state on disk.

use super::{error::EndureError, round::Spoilt};
use crate::{enforced::Policyd, lab::Netns, random::Draw};
use std::fs;

/// Spoils what a `policyd` that has ended left on disk. If there is nothing yet, there is nothing to spoil.
pub(super) fn spoil(how: Spoilt, draw: &mut Draw, policyd: &Policyd) -> Result<(), EndureError> {
    let path = policyd.state_file();
    let Ok(mut state) = fs::read(&path) else { return Ok(()) };
    match how {
        Spoilt::Not => return Ok(()),
        Spoilt::Gone => return fs::remove_file(&path).map_err(EndureError::write(&path)),
        Spoilt::Torn => state.truncate(draw.below(state.len().max(1))),
        Spoilt::OtherVersion => {
            state = String::from_utf8_lossy(&state).replacen("\"version\":", "\"version\":9", 1).into();
        }
        Spoilt::Changed => {
            if !state.is_empty() {
                let place = draw.below(state.len());
                state[place] ^= 1 << draw.below(8);
            }
        }
    }
    fs::write(&path, state).map_err(EndureError::write(&path))
}

/// Puts a disk without room in place of the state folder, as this `policyd` sees it until its end: it has a mount namespace of its
/// own, as whatever `ip netns exec` starts.
pub(super) fn fill(node: &Netns, policyd: &Policyd) -> Result<(), EndureError> {
    let file = policyd.state_file();
    let Some(folder) = file.parent().map(|folder| folder.to_string_lossy().into_owned()) else {
        return Ok(());
    };
    let pid = policyd.pid().to_string();
    let script =
        "mkdir -p \"$0\" && mount -t tmpfs -o size=4k none \"$0\" && head -c 4096 /dev/zero > \"$0/full\"";
    node.exec(&["nsenter", "--target", &pid, "--mount", "sh", "-c", script, &folder])?;
    Ok(())
}
