//! Where in a lab something is.

use super::{LabError, Pod};
use policy_model::object::ObjectKey;
use std::{fmt, str::FromStr, sync::Arc};

/// A host of the lab: whose network namespace a program runs in, and who answered a probe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A node, counted from 1.
    Node(u8),
    /// A pod.
    Pod(ObjectKey),
    /// The host outside the cluster.
    Outside,
}

impl Place {
    /// The pod `namespace/name`.
    #[must_use]
    pub fn pod(namespace: &str, name: &str) -> Self {
        Self::Pod(ObjectKey::new(namespace, name))
    }
}

impl From<ObjectKey> for Place {
    fn from(key: ObjectKey) -> Self {
        Self::Pod(key)
    }
}

impl From<&Pod> for Place {
    fn from(pod: &Pod) -> Self {
        Self::Pod(pod.key().clone())
    }
}

impl From<&Arc<Pod>> for Place {
    fn from(pod: &Arc<Pod>) -> Self {
        Self::from(&**pod)
    }
}

impl From<&Self> for Place {
    fn from(place: &Self) -> Self {
        place.clone()
    }
}

/// `node/1` (no namespace may have that name in a lab), `namespace/name` for a pod, `outside`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(n) => write!(f, "node/{n}"),
            Self::Pod(key) => key.fmt(f),
            Self::Outside => f.write_str("outside"),
        }
    }
}

impl FromStr for Place {
    type Err = LabError;

    fn from_str(text: &str) -> Result<Self, LabError> {
        let wrong =
            || LabError::Invalid(format!("`{text}` is no place: write node/1, namespace/pod or outside"));
        match text.split_once('/') {
            Some(("node", n)) => n.parse().map(Self::Node).map_err(|_| wrong()),
            Some((namespace, name)) => Ok(Self::pod(namespace, name)),
            None if text == "outside" => Ok(Self::Outside),
            None => Err(wrong()),
        }
    }
}
