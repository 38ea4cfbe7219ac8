//! Why a runtime tells nothing.

use std::{io, time::Duration};
use tonic::Code;

/// What went wrong between policyd and the runtime.
#[derive(Debug, thiserror::Error)]
pub enum CriError {
    /// The socket is not there, nobody listens at it, or it may not be used.
    #[error("the socket cannot be connected to: {0}")]
    Connect(#[from] io::Error),
    /// It does not speak HTTP/2.
    #[error("who listens there does not speak gRPC: {0}")]
    Protocol(#[from] hyper::Error),
    /// It refused.
    #[error("{call} is answered with {code:?}: {message}")]
    Refused {
        /// The method of CRI.
        call: &'static str,
        /// gRPC's code.
        code: Code,
        /// What the runtime says.
        message: String,
    },
    /// It is silent.
    #[error("{call} is not answered within {limit:?}")]
    Silent {
        /// The method of CRI, or what came before.
        call: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
}

impl CriError {
    /// In a word or two: a change of it is told.
    #[must_use]
    pub fn value(&self) -> &'static str {
        match self {
            Self::Connect(e) if e.kind() == io::ErrorKind::NotFound => "absent",
            Self::Connect(e) if e.kind() == io::ErrorKind::PermissionDenied => "refused",
            Self::Protocol(_) | Self::Refused { code: Code::Unimplemented, .. } => "unfit",
            Self::Refused { code: Code::PermissionDenied | Code::Unauthenticated, .. } => "refused",
            Self::Connect(_) | Self::Silent { .. } | Self::Refused { .. } => "no answer",
        }
    }

    /// What to do.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self.value() {
            "absent" => {
                "give --cri-socket the runtime's socket; a pod must mount the folder that it is in (the chart's host.runtimeSocket)"
            }
            "refused" => {
                "policyd needs uid 0, or to be let in by SELinux (the chart's seLinuxOptions), to use the runtime's socket"
            }
            "unfit" => "it must serve runtime.v1: containerd from 1.6 on with its cri plugin, or CRI-O",
            _ => "see whether the runtime runs; it is asked again",
        }
    }
}
