//! What the checks share: the policies, and which pods their selectors match.

use super::{Code, Finding, Place, Severity};
use crate::{
    input::Snapshot,
    matrix::{
        classes::Kind,
        selection::{Scope, Selection},
    },
};
use policy_model::{
    cluster::Cluster,
    field::FieldPath,
    manifest::Location,
    object::{ObjectKey, Pod},
    policy::{Direction, NetworkPolicy, Peer, Rule},
    selector::Selector,
};
use std::{cell::RefCell, collections::HashMap, rc::Rc};

/// Pods by their index in [`Context::pods`].
pub(crate) type Pods = Rc<[usize]>;

/// A snapshot with its pods indexed.
pub(crate) struct Context<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// Every pod that has not ended, those on the host network too.
    pub(crate) pods: &'a [&'a Pod],
    selection: Selection<'a>,
    known: RefCell<HashMap<(Scope, Selector), Pods>>,
}

/// A rule, and where it is.
#[derive(Clone, Copy)]
pub(crate) struct RuleAt<'a> {
    pub(crate) policy: &'a NetworkPolicy,
    pub(crate) direction: Direction,
    pub(crate) index: usize,
    pub(crate) rule: &'a Rule,
}

impl RuleAt<'_> {
    /// `spec.ingress[0]`.
    pub(crate) fn path(&self) -> FieldPath {
        crate::places::rule_field(self.direction, self.index)
    }

    /// `spec.ingress[0].from[1]`.
    pub(crate) fn peer_path(&self, peer: usize) -> FieldPath {
        self.path().field(self.direction.peers_field()).index(peer)
    }

    /// `ingress[0]`, for messages.
    pub(crate) fn name(&self) -> String {
        format!("{}[{}]", self.direction, self.index)
    }
}

impl<'a> Context<'a> {
    /// `kinds` are those of `pods`, one each.
    pub(crate) fn new(snapshot: &'a Snapshot, pods: &'a [&'a Pod], kinds: &'a [Kind]) -> Self {
        let selection = Selection::new(&snapshot.cluster, kinds);
        Self { snapshot, pods, selection, known: RefCell::default() }
    }

    pub(crate) fn cluster(&self) -> &'a Cluster {
        &self.snapshot.cluster
    }

    pub(crate) fn policies(&self) -> impl Iterator<Item = &'a NetworkPolicy> + use<'a> {
        self.cluster().policies()
    }

    /// Every rule that has an effect.
    pub(crate) fn rules(&self) -> impl Iterator<Item = RuleAt<'a>> + use<'a> {
        self.policies().flat_map(rules_of)
    }

    /// The pods that a policy selects, those on the host network too.
    pub(crate) fn selected(&self, policy: &NetworkPolicy) -> Pods {
        self.matching(Scope::Own(policy.key.namespace.clone()), &policy.pod_selector)
    }

    /// The pods that the selectors of a peer match, those on the host network too; `None` for a block.
    pub(crate) fn peer_pods(&self, policy: &ObjectKey, peer: &Peer) -> Option<Pods> {
        let Peer::Pods { namespaces, pods } = peer else { return None };
        let scope = match namespaces {
            None => Scope::Own(policy.namespace.clone()),
            Some(selector) => Scope::Labelled(selector.clone()),
        };
        Some(self.matching(scope, pods))
    }

    pub(crate) fn matching(&self, scope: Scope, pods: &Selector) -> Pods {
        let asked = (scope, pods.clone());
        if let Some(known) = self.known.borrow().get(&asked) {
            return known.clone();
        }
        let found: Pods = self.selection.matching(&asked.0, pods).into();
        self.known.borrow_mut().insert(asked, found.clone());
        found
    }

    /// A finding about a field of a policy, as heavy as its code says.
    pub(crate) fn finding(
        &self,
        code: Code,
        policy: &ObjectKey,
        field: &FieldPath,
        message: String,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            code,
            severity: code.info().severity,
            object: Some(format!("NetworkPolicy {policy}")),
            field: field.to_string(),
            place: self.snapshot.place(policy, field).map(|location| Place::of(&location)),
            message,
            remedy: remedy.into(),
        }
    }
}

pub(crate) fn rules_of(policy: &NetworkPolicy) -> impl Iterator<Item = RuleAt<'_>> {
    Direction::BOTH.into_iter().flat_map(move |direction| {
        let rules = policy.rules(direction).unwrap_or_default().iter().enumerate();
        rules.map(move |(index, rule)| RuleAt { policy, direction, index, rule })
    })
}

impl Place {
    pub(crate) fn of(location: &Location) -> Self {
        Self { file: location.file.to_string(), line: Some(location.line), column: Some(location.column) }
    }
}

impl Finding {
    /// The same finding with another weight.
    pub(crate) fn weighing(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }
}

/// `a`, `a and b`, `a, b and 3 more`.
pub(crate) fn listed(names: impl IntoIterator<Item = String>) -> String {
    const SHOWN: usize = 3;
    let names: Vec<String> = names.into_iter().collect();
    match &names[..] {
        [] => String::new(),
        [name] => name.clone(),
        [rest @ .., last] if names.len() <= SHOWN => format!("{} and {last}", rest.join(", ")),
        _ => format!("{} and {} more", names[..SHOWN].join(", "), names.len() - SHOWN),
    }
}
