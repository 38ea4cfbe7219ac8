//! Why a cluster or a node does not answer.

use std::{error::Error, path::PathBuf};

/// A cluster or node that cannot be asked. Displays as one line that names it.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// Nothing says which cluster.
    #[error("nothing to read: no -f was given, and there is no kubeconfig ({})", .looked.join(", "))]
    NoKubeconfig {
        /// Where one was looked for.
        looked: Vec<String>,
    },
    /// A file that was named is not there.
    #[error("{}: there is no such kubeconfig", .0.display())]
    Missing(PathBuf),
    /// It is there and cannot be used.
    #[error("{place}: not a kubeconfig that can be used: {reason}")]
    Kubeconfig {
        /// The file or files.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A context that the kubeconfig does not have.
    #[error("the kubeconfig {place} has no context {name}")]
    NoContext {
        /// As it was asked for.
        name: String,
        /// The file or files.
        place: String,
        /// What may have been meant.
        meant: Option<String>,
        /// All that there are.
        known: Vec<String>,
    },
    /// None is chosen.
    #[error("the kubeconfig {place} has no current context")]
    NoCurrentContext {
        /// The file or files.
        place: String,
        /// All that there are.
        known: Vec<String>,
    },
    /// `--as-group` alone.
    #[error("--as-group needs --as")]
    GroupsAlone,
    /// 401, or a helper that gives no credentials.
    #[error("the API server {server} does not take these credentials: {reason}")]
    Credentials {
        /// Its address.
        server: String,
        /// The API server's or the helper's own words.
        reason: String,
    },
    /// 403.
    #[error("the API server forbids to {verb} {resource}: {reason}")]
    Forbidden {
        /// Such as `list`.
        verb: &'static str,
        /// As RBAC names it, with its API group.
        resource: &'static str,
        /// The API server's own words.
        reason: String,
    },
    /// Any other answer that is none.
    #[error("{resource}: the API server {server} answers {code}: {reason}")]
    Refused {
        /// Its address.
        server: String,
        /// As RBAC names it.
        resource: &'static str,
        /// HTTP status.
        code: u16,
        /// The API server's own words.
        reason: String,
    },
    /// No connection.
    #[error("the API server {server} cannot be reached: {reason}")]
    Unreachable {
        /// Its address.
        server: String,
        /// Why not.
        reason: String,
    },
    /// Something that no API server says.
    #[error("{resource}: {server} does not answer like a Kubernetes API server: {reason}")]
    Odd {
        /// Its address.
        server: String,
        /// As RBAC names it.
        resource: &'static str,
        /// What is odd.
        reason: String,
    },
    /// A node whose policyd does not answer.
    #[error("policyd of node {node} cannot be asked: {reason}")]
    Node {
        /// The node, or the address where its name is not known.
        node: String,
        /// Why not.
        reason: String,
    },
    /// A node that has no policyd.
    #[error("node {node} has no policyd that runs")]
    NoAgent {
        /// The node.
        node: String,
        /// A node that may have been meant.
        meant: Option<String>,
    },
    /// `--address` or `--policyd` that is no address.
    #[error("{flag} {text}: {reason}")]
    Address {
        /// Which flag.
        flag: &'static str,
        /// As written.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// Nobody to ask.
    #[error("no node's policyd is named, and there is no cluster to find them in")]
    NoAgents,
    /// The runtime does not start.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

impl LiveError {
    /// Whether the command line or a file of the user's is at fault, rather than a cluster or node.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Missing(_)
                | Self::Kubeconfig { .. }
                | Self::NoContext { .. }
                | Self::NoCurrentContext { .. }
                | Self::GroupsAlone
                | Self::Address { .. }
                | Self::NoAgents
                | Self::NoAgent { meant: Some(_), .. }
        )
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::NoKubeconfig { .. } => {
                "give a file or folder with -f (-R for folders within it), or - for standard input; or name a cluster with \
                 --kubeconfig FILE"
                    .to_owned()
            }
            Self::Missing(_) | Self::Kubeconfig { .. } => "give a file that kubectl can use".to_owned(),
            Self::NoContext { meant: Some(meant), .. } => format!("did you mean {meant}?"),
            Self::NoContext { known, .. } | Self::NoCurrentContext { known, .. } => match known.is_empty() {
                true => "it has no context at all".to_owned(),
                false => format!("name one with --context: {}", known.join(", ")),
            },
            Self::GroupsAlone => "say with --as which user is in these groups".to_owned(),
            Self::Credentials { .. } => {
                "they may have expired: renew them as kubectl needs them too, or choose others with --context".to_owned()
            }
            Self::Forbidden { verb, resource, .. } => {
                let (name, group) = resource.split_once('.').unwrap_or((resource, ""));
                let verbs = if verb.contains(" and ") { "verbs" } else { "verb" };
                format!("grant the {verbs} {verb} on {name} in API group \"{group}\" by a ClusterRole")
            }
            Self::Unreachable { .. } => "is the address right, and is the API server up?".to_owned(),
            Self::NoAgent { meant: Some(meant), .. } => format!("did you mean {meant}?"),
            Self::NoAgent { .. } => "`policyctl status` shows every node".to_owned(),
            Self::Address { flag: "--address", .. } => "write --address NODE=HOST:PORT".to_owned(),
            Self::Address { .. } => "write --policyd http://HOST:PORT".to_owned(),
            Self::NoAgents => "give --policyd http://HOST:PORT, --address NODE=HOST:PORT, or a kubeconfig".to_owned(),
            Self::Refused { .. } | Self::Odd { .. } | Self::Node { .. } | Self::System(_) => return None,
        })
    }

    /// What a request to the API server ended with.
    pub(super) fn of(error: kube::Error, server: &str, verb: &'static str, resource: &'static str) -> Self {
        let server = server.to_owned();
        match error {
            kube::Error::Api(status) => Self::of_status(status.code, status.message, server, verb, resource),
            kube::Error::Auth(error) => Self::Credentials { server, reason: reasons(&error) },
            kube::Error::HyperError(error) => Self::Unreachable { server, reason: reasons(&error) },
            kube::Error::Service(error) => Self::Unreachable { server, reason: reasons(&*error) },
            error => Self::Odd { server, resource, reason: reasons(&error) },
        }
    }

    fn of_status(
        code: u16,
        reason: String,
        server: String,
        verb: &'static str,
        resource: &'static str,
    ) -> Self {
        match code {
            401 => Self::Credentials { server, reason },
            403 => Self::Forbidden { verb, resource, reason },
            code => Self::Refused { server, resource, code, reason },
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
