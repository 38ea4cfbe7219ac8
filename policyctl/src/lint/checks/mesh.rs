//! P018: ports without which a service mesh does not work.
//!
//! Sources: istio.io "Application requirements" and "Ambient and Kubernetes NetworkPolicy" (15008 HBONE, 15012 istiod);
//! linkerd.io "Proxy ports" (4143 inbound, 8080 identity, 8086 destination, 8090 policy).

use super::dns::isolated_together;
use crate::{
    connect::ports_of_rule,
    lint::{
        Code, Finding,
        context::{Context, listed},
    },
};
use policy_model::{
    cluster::Cluster,
    field::FieldPath,
    object::{Pod, Protocol},
    policy::{Direction, NetworkPolicy},
    portset::PortSet,
};

/// What a mesh needs in one direction, over TCP.
struct Need {
    mesh: Mesh,
    direction: Direction,
    ports: &'static [u16],
    what: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mesh {
    IstioAmbient,
    IstioSidecar,
    Linkerd,
}

const NEEDS: [Need; 5] = [
    Need {
        mesh: Mesh::IstioAmbient,
        direction: Direction::Ingress,
        ports: &[15008],
        what: "Istio ambient (HBONE)",
    },
    Need {
        mesh: Mesh::IstioAmbient,
        direction: Direction::Egress,
        ports: &[15008],
        what: "Istio ambient (HBONE)",
    },
    Need {
        mesh: Mesh::IstioSidecar,
        direction: Direction::Egress,
        ports: &[15012],
        what: "the Istio sidecar (istiod)",
    },
    Need { mesh: Mesh::Linkerd, direction: Direction::Ingress, ports: &[4143], what: "the Linkerd proxy" },
    Need {
        mesh: Mesh::Linkerd,
        direction: Direction::Egress,
        ports: &[8080, 8086, 8090],
        what: "the Linkerd proxy (identity, destination, policy)",
    },
];

pub(super) fn check(context: &Context<'_>) -> Vec<Finding> {
    let of_pod: Vec<Option<Mesh>> = context.pods.iter().map(|pod| mesh_of(context.cluster(), pod)).collect();
    if of_pod.iter().all(Option::is_none) {
        return Vec::new();
    }
    let of_direction = |direction: Direction| {
        let policies: Vec<&NetworkPolicy> =
            context.policies().filter(|policy| policy.rules(direction).is_some()).collect();
        let mut findings = Vec::new();
        for (isolating, pods) in isolated_together(context, &policies) {
            let isolating: Vec<_> = isolating.into_iter().map(|index| policies[index]).collect();
            for need in NEEDS.iter().filter(|need| need.direction == direction) {
                let in_mesh: Vec<&Pod> = pods
                    .iter()
                    .filter(|pod| of_pod[**pod] == Some(need.mesh))
                    .map(|pod| context.pods[*pod])
                    .collect();
                findings.extend(of_group(context, need, &isolating, &in_mesh));
            }
        }
        findings
    };
    Direction::BOTH.into_iter().flat_map(of_direction).collect()
}

fn of_group(
    context: &Context<'_>,
    need: &Need,
    isolating: &[&NetworkPolicy],
    pods: &[&Pod],
) -> Option<Finding> {
    let first = pods.first()?;
    let rules = || isolating.iter().flat_map(|policy| policy.rules(need.direction).unwrap_or_default());
    // Pods that nobody may reach, or that may reach nobody, are meant to be so.
    rules().next()?;
    let names = [&first.ports[..]];
    let allowed = rules().fold(PortSet::none(), |all, rule| all.union(&ports_of_rule(rule, &names)));
    let missing: Vec<String> = need
        .ports
        .iter()
        .filter(|port| !allowed.contains(Protocol::Tcp, **port))
        .map(|port| format!("{port}/TCP"))
        .collect();
    if missing.is_empty() {
        return None;
    }
    let policy =
        isolating.iter().find(|policy| !policy.rules(need.direction).unwrap_or_default().is_empty())?;
    let path = FieldPath::root().field("spec").field(need.direction.name());
    let who = listed(pods.iter().map(|pod| pod.key.to_string()));
    let ports = listed(missing);
    let message = format!("{who}: no {} rule allows {ports}, which {} needs", need.direction, need.what);
    Some(context.finding(
        Code::P018,
        &policy.key,
        &path,
        message,
        format!("allow {ports} for {}", need.direction),
    ))
}

/// The mesh that a pod is in, as its labels and those of its namespace say. Annotations, by which Linkerd is switched on,
/// are no part of what policy sees; its injector labels the pods.
fn mesh_of(cluster: &Cluster, pod: &Pod) -> Option<Mesh> {
    if !pod.is_policed() {
        return None;
    }
    let namespace = cluster.namespace_labels(&pod.key.namespace);
    let own = |key: &str| pod.labels.get(key).map(|value| &**value);
    let around = |key: &str| namespace.get(key).map(|value| &**value);
    let ambient = own("istio.io/dataplane-mode").or(around("istio.io/dataplane-mode")) == Some("ambient");
    let injected = match own("sidecar.istio.io/inject") {
        Some(inject) => inject == "true",
        None => {
            own("security.istio.io/tlsMode").is_some()
                || around("istio-injection") == Some("enabled")
                || around("istio.io/rev").is_some_and(|_| !ambient)
        }
    };
    match () {
        () if own("linkerd.io/control-plane-ns").is_some() => Some(Mesh::Linkerd),
        () if injected => Some(Mesh::IstioSidecar),
        () if ambient => Some(Mesh::IstioAmbient),
        () => None,
    }
}
