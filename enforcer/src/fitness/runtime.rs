//! The container runtime, where it is asked for pods that CNI's results do not name.

use super::{Fact, Finding};
use crate::source::cri::{Answer, State, USUAL};

/// What follows where it tells nothing.
const WITHOUT: &str = "pods that CNI's results do not name are known by their status only";

pub(super) fn runtime(state: &State) -> Finding {
    let (fact, value) = (Fact::ContainerRuntime, state.value());
    match state {
        State::NotFound => {
            let looked: Vec<&str> = USUAL.iter().map(|(path, _)| *path).collect();
            let what = format!("no socket at {}; {WITHOUT}", looked.join(", "));
            Finding::warn(
                fact,
                value,
                what,
                "give --cri-socket the runtime's socket; a pod must mount the folder that it is in",
            )
        }
        State::Fails { socket, error, help, .. } => {
            Finding::warn(fact, value, format!("{}: {error}; {WITHOUT}", socket.display()), *help)
        }
        State::Answers(Answer { socket, runtime, silent: Some(silent), .. }) => Finding::warn(
            fact,
            value,
            format!("{runtime} at {}: {silent}; {WITHOUT}", socket.display()),
            "containerd and CRI-O tell them; see why CNI's results are missing (CNI files)",
        ),
        State::Answers(Answer { socket, runtime, ready, claims, silent: None }) => Finding::ok(
            fact,
            value,
            format!(
                "{runtime} at {}: {ready} sandboxes, {} of them known by it alone",
                socket.display(),
                claims.len()
            ),
        ),
    }
}
