//! Whether one rule allows all that another one does, whatever pods there are.

use policy_model::{
    cluster::Cluster,
    object::{NAMESPACE_NAME_LABEL, ObjectKey},
    policy::{Peer, PolicyPort, PortMatch, Rule},
    portset::{PortRanges, PortSet},
    reach::Reach,
    selector::{Requirement, Selector},
};
use std::sync::Arc;

/// Whether every object that `narrow` selects is one that `wide` selects.
pub(super) fn selector(wide: &Selector, narrow: &Selector) -> bool {
    wide.requirements().iter().all(|wanted| narrow.requirements().iter().any(|known| implies(known, wanted)))
}

fn implies(known: &Requirement, wanted: &Requirement) -> bool {
    use Requirement::{DoesNotExist, Exists, In, NotIn};
    let subset = |a: &[Arc<str>], b: &[Arc<str>]| a.iter().all(|value| b.binary_search(value).is_ok());
    let disjoint = |a: &[Arc<str>], b: &[Arc<str>]| a.iter().all(|value| b.binary_search(value).is_err());
    known.key() == wanted.key()
        && match (known, wanted) {
            (In(_, a), In(_, b)) => subset(a, b),
            (In(_, a), NotIn(_, b)) => disjoint(a, b),
            (NotIn(_, a), NotIn(_, b)) => subset(b, a),
            (In(..) | Exists(_), Exists(_)) | (DoesNotExist(_), DoesNotExist(_) | NotIn(..)) => true,
            _ => false,
        }
}

/// Whether `wide`, of a policy in the same namespace, allows all that `narrow` does.
pub(super) fn rule(cluster: &Cluster, policy: &ObjectKey, wide: &Rule, narrow: &Rule) -> bool {
    ports(&wide.ports, &narrow.ports) && peers(cluster, policy, &wide.peers, &narrow.peers)
}

fn peers(cluster: &Cluster, policy: &ObjectKey, wide: &[Peer], narrow: &[Peer]) -> bool {
    let is_covered = |one: &Peer| match one {
        Peer::Pods { .. } => wide.iter().any(|other| pods(cluster, policy, other, one)),
        Peer::IpBlock { cidr, except } => {
            let blocks = wide.iter().filter_map(|peer| match peer {
                Peer::IpBlock { cidr, except } => Some(Reach::block(*cidr, except, PortSet::all())),
                Peer::Pods { .. } => None,
            });
            let covered = blocks.fold(Reach::none(), |all, block| all.union(&block));
            Reach::block(*cidr, except, PortSet::all()).difference(&covered).is_empty()
        }
    };
    wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(is_covered))
}

fn pods(cluster: &Cluster, policy: &ObjectKey, wide: &Peer, narrow: &Peer) -> bool {
    let (Peer::Pods { namespaces: wide_in, pods: wide }, Peer::Pods { namespaces: narrow_in, pods: narrow }) =
        (wide, narrow)
    else {
        return false;
    };
    let in_namespaces = match (wide_in, narrow_in) {
        (None, None) => true,
        (Some(wide), Some(narrow)) => selector(wide, narrow),
        (Some(wide), None) => wide.matches(&cluster.namespace_labels(&policy.namespace)),
        (None, Some(narrow)) => {
            let own = Requirement::In(NAMESPACE_NAME_LABEL.into(), [policy.namespace.clone()].into());
            selector(&Selector::new([own]), narrow)
        }
    };
    in_namespaces && selector(wide, narrow)
}

/// Whether a list of ports allows all that another one does.
pub(super) fn ports(wide: &[PolicyPort], narrow: &[PolicyPort]) -> bool {
    let is_covered = |port: &PolicyPort| match &port.port {
        PortMatch::Named(_) => wide
            .iter()
            .any(|other| other == port || (other.protocol == port.protocol && other.port == PortMatch::All)),
        _ => numbers(std::slice::from_ref(port)).difference(&numbers(wide)).is_empty(),
    };
    wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(is_covered))
}

/// The ports that are given by number.
fn numbers(ports: &[PolicyPort]) -> PortSet {
    ports.iter().fold(PortSet::none(), |all, port| match port.port {
        PortMatch::All => all.union(&PortSet::none().with(port.protocol, PortRanges::all())),
        PortMatch::Range(lo, hi) => all.union(&PortSet::range(port.protocol, lo, hi)),
        PortMatch::Named(_) => all,
    })
}
