//! Why the API server does not give what is asked for.

use std::{error::Error, time::Duration};

/// A kind of objects that cannot be listed or watched now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// 401.
    #[error("the API server does not know these credentials ({0})")]
    Unauthorized(String),
    /// 403; the message names user, verb and resource.
    #[error("the API server forbids it: {message}")]
    Forbidden {
        /// As RBAC names it.
        resource: &'static str,
        /// The API server's own words.
        message: String,
    },
    /// Any other answer that is none.
    #[error("{resource}: the API server answers {code}: {message}")]
    Refused {
        /// As RBAC names it.
        resource: &'static str,
        /// HTTP status.
        code: u16,
        /// The API server's own words.
        message: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// 410: what has happened since is forgotten there, so that the list has to be read again.
    #[error("{0}: the API server has forgotten what happened since the last event: listing again")]
    Expired(&'static str),
    /// There is no connection.
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
    /// There is a connection and nothing comes over it.
    #[error("{resource}: the API server is silent for {}s", after.as_secs())]
    Silent {
        /// As RBAC names it.
        resource: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The connection ended before a list was complete.
    #[error("{0}: the connection ended before the list was complete")]
    Torn(&'static str),
    /// It lacks what policies and reports are made of.
    #[error("the API server is too old: it is {version}, the oldest supported is {oldest}")]
    TooOld {
        /// As it calls itself.
        version: String,
        /// What is needed.
        oldest: &'static str,
    },
    /// A kind that is followed is switched off there.
    #[error("the API server does not serve {what}")]
    NotServed {
        /// An API group's version, or a resource of one.
        what: String,
    },
    /// Something that no API server says.
    #[error("{resource}: not an answer of a Kubernetes API server: {reason}")]
    NotKubernetes {
        /// As RBAC names it.
        resource: &'static str,
        /// What is odd about it.
        reason: String,
    },
}

impl Fault {
    /// `resource` as RBAC names it.
    pub(crate) fn of(resource: &'static str, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(resource, *status),
            kube::Error::HyperError(error) => Self::Unreachable(reasons(&error)),
            kube::Error::Service(error) => Self::Unreachable(reasons(&*error)),
            kube::Error::Auth(error) => Self::Unauthorized(reasons(&error)),
            error => Self::NotKubernetes { resource, reason: reasons(&error) },
        }
    }

    pub(super) fn of_status(resource: &'static str, status: kube::core::Status) -> Self {
        let message = status.message;
        let seconds = status.details.map_or(0, |details| details.retry_after_seconds);
        match status.code {
            401 => Self::Unauthorized(message),
            403 => Self::Forbidden { resource, message },
            410 => Self::Expired(resource),
            code => {
                let retry_after = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
                Self::Refused { resource, code, message, retry_after }
            }
        }
    }

    /// The API server may well give a list, only not as a stream: the feature is off (422; 400 where the parameters are
    /// not known together), or it is so old that it ignores the wish and never says where the list ends.
    pub(super) fn is_about_streaming(&self) -> bool {
        matches!(self, Self::Refused { code: 400 | 422, .. } | Self::Silent { .. })
    }

    /// Who was told of the other need not be told of this one. Of an API server that is away each attempt says something
    /// else: its connection is reset, then refused, then there is no route.
    pub(crate) fn is_no_news_after(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unreachable(_), Self::Unreachable(_)) => true,
            _ => self.to_string() == other.to_string(),
        }
    }

    /// How long the API server wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What to do about it; empty where there is nothing but to wait.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Unauthorized(_) => {
                "give policyd credentials that are valid now; a renewed file is read again by itself".into()
            }
            Self::Forbidden { resource, .. } => {
                let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
                format!(
                    "grant the verbs list and watch on {resource} in API group \"{group}\" by a ClusterRole"
                )
            }
            Self::TooOld { .. } => "upgrade the cluster; nothing is enforced anew meanwhile".into(),
            Self::NotServed { .. } => {
                "switch it on (kube-apiserver --runtime-config); nothing is enforced anew meanwhile".into()
            }
            Self::Unreachable(_) => "is the address right, and is the API server up?".into(),
            _ => String::new(),
        }
    }
}

/// An error with its causes, each once.
pub(super) fn reasons(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text = format!("{text}: {reason}");
        }
        cause = error.source();
    }
    text
}
