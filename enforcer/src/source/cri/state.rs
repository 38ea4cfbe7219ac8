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
pub struct Watched(Arc<Mutex<Option<State>>>);

impl Watched {
    /// A state that nobody follows.
    #[must_use]
    pub fn seen(state: State) -> Self {
        Self(Arc::new(Mutex::new(Some(state))))
    }

    /// What sandboxes claim by the last state.
    #[must_use]
    pub fn claims(&self) -> Vec<Attachment> {
        match self.state() {
            Some(State::Answers(answer)) => answer.claims,
            _ => Vec::new(),
        }
    }

    /// The last state.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives whether somebody should be told.
    pub(super) fn set(&self, state: State) -> bool {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = held.as_ref().map(State::value) != Some(state.value());
        *held = Some(state);
        changed
    }
}
