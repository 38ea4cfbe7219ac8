//! What is known of the runtime, for those who tell people.

use super::CriError;
use crate::node::cni::Attachment;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

/// How a runtime is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// `--cri-socket auto` has found no socket.
    NotFound,
    /// It does not tell.
    Fails {
        /// Where it was asked.
        socket: PathBuf,
        /// [`CriError::value`].
        value: &'static str,
        /// The error.
        error: String,
        /// What to do.
        help: &'static str,
    },
    /// It tells.
    Answers(Answer),
}

/// What a runtime has told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where it listens.
    pub socket: PathBuf,
    /// Name and version.
    pub runtime: String,
    /// Sandboxes that are ready.
    pub ready: usize,
    /// What those claim that no result file names.
    pub claims: Vec<Attachment>,
    /// A sandbox that no result file names and whose interfaces the runtime does not tell, with why not.
    pub silent: Option<String>,
}

impl State {
    pub(super) fn failed(socket: PathBuf, error: &CriError) -> Self {
        Self::Fails { socket, value: error.value(), error: error.to_string(), help: error.help() }
    }

    /// In a word or two.
    #[must_use]
    pub fn value(&self) -> &'static str {
        match self {
            Self::NotFound => "absent",
            Self::Fails { value, .. } => value,
            Self::Answers(Answer { silent: Some(_), .. }) => "tells no interfaces",
            Self::Answers(_) => "answers",
        }
    }
}

/// The state as the runtime's thread saw it last; none before its first look.
#[derive(Clone, Debug, Default)]
pub struct Watched(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    state: Option<State>,
    /// Of the last answer.
    claims: Vec<Attachment>,
}

impl Watched {
    /// A state that nobody follows.
    #[must_use]
    pub fn seen(state: State) -> Self {
        let watched = Self::default();
        watched.set(state);
        watched
    }

    /// What sandboxes claim by the runtime's last answer.
    #[must_use]
    pub fn claims(&self) -> Vec<Attachment> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).claims.clone()
    }

    /// The last state.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).state.clone()
    }

    /// Gives whether somebody should be told.
    pub(super) fn set(&self, state: State) -> bool {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = held.state.as_ref().map(State::value) != Some(state.value());
        if let State::Answers(answer) = &state {
            held.claims.clone_from(&answer.claims);
        }
        held.state = Some(state);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn another_value_is_told_and_the_last_answers_claims_stay() {
        let claim = Attachment::without_addresses();
        let answer = |ready| {
            let (socket, claims) = ("/run/a.sock".into(), vec![claim.clone()]);
            State::Answers(Answer { socket, runtime: "containerd 2".into(), ready, claims, silent: None })
        };
        let watched = Watched::default();
        assert_eq!((watched.state(), watched.claims()), (None, Vec::new()));
        assert!(watched.set(answer(1)), "the first");
        assert!(!watched.set(answer(2)), "pods come and go");
        let error = CriError::Connect(io::ErrorKind::ConnectionRefused.into());
        assert!(watched.set(State::failed("/run/a.sock".into(), &error)));
        assert!(!watched.set(State::failed("/run/a.sock".into(), &error)), "said");
        assert_eq!(watched.claims(), std::slice::from_ref(&claim));
        assert_eq!(watched.state().unwrap().value(), "no answer");
    }
}
