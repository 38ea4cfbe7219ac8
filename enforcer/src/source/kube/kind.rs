//! The kinds of objects that are followed.

/// One kind. Their order is that of [`Kind::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Namespaces,
    Nodes,
    Services,
    Policies,
    Pods,
}

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::Namespaces, Self::Nodes, Self::Services, Self::Policies, Self::Pods];

    /// As an object calls itself.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "Namespace",
            Self::Nodes => "Node",
            Self::Services => "Service",
            Self::Policies => "NetworkPolicy",
            Self::Pods => "Pod",
        }
    }

    /// As RBAC names it, with its API group.
    pub(super) const fn resource(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Nodes => "nodes",
            Self::Services => "services",
            Self::Policies => "networkpolicies.networking.k8s.io",
            Self::Pods => "pods",
        }
    }

    /// Where all of them are.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Namespaces => "/api/v1/namespaces",
            Self::Nodes => "/api/v1/nodes",
            Self::Services => "/api/v1/services",
            Self::Policies => "/apis/networking.k8s.io/v1/networkpolicies",
            Self::Pods => "/api/v1/pods",
        }
    }

    /// Which of them. Pods that have ended are no longer policy's: their ending arrives as a deletion.
    pub(super) const fn fields(self) -> Option<&'static str> {
        match self {
            Self::Pods => Some("status.phase!=Succeeded,status.phase!=Failed"),
            _ => None,
        }
    }
}
