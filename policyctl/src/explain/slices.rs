//! A Service without a selector, followed by its EndpointSlices.

use crate::{
    endpoint::{Destination, Ports, ResolveError, ServiceRoute, Target, Transport},
    input::Snapshot,
};
use policy_model::{
    object::{ObjectKey, ServicePort},
    verdict,
};

/// Who is behind it on the ports that were asked about; `None` if no slice says so.
///
/// # Errors
/// A port that the Service does not have.
pub(super) fn behind(
    snapshot: &Snapshot,
    target: &Target,
    key: &ObjectKey,
) -> Result<Option<Vec<Destination>>, ResolveError> {
    let (Some(slices), Some(service)) = (snapshot.slices.get(key), snapshot.cluster.service(key)) else {
        return Ok(None);
    };
    let ports: Vec<&ServicePort> = service.ports.iter().filter(|port| is_asked(target, port)).collect();
    if ports.is_empty() {
        let has = service.ports.iter().map(|port| format!("{}/{}", port.port, port.protocol));
        let has = has.collect::<Vec<_>>().join(", ");
        return Err(ResolveError::ServicePort { target: target.to_string(), has });
    }
    let mut destinations = Vec::new();
    for slice in slices {
        for port in &ports {
            let leads_to = slice
                .ports
                .iter()
                .filter(|known| (&known.name, known.protocol) == (&port.name, port.protocol));
            for to in leads_to {
                destinations.extend(slice.addresses.iter().map(|address| Destination {
                    endpoint: verdict::Endpoint::Address(*address),
                    transport: Transport::Ported(to.protocol),
                    port: Some(to.port),
                    service: Some(ServiceRoute { key: key.clone(), port: port.port }),
                }));
            }
        }
    }
    Ok(Some(destinations))
}

fn is_asked(target: &Target, port: &ServicePort) -> bool {
    match &target.ports {
        Ports::Everything => true,
        Ports::All(transport) => *transport == Transport::Ported(port.protocol),
        Ports::Range(protocol, lo, hi) => *protocol == port.protocol && (*lo..=*hi).contains(&port.port),
        Ports::Named(protocol, name) => *protocol == port.protocol && *name == port.name,
    }
}
