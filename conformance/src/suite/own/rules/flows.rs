//! Connections that stand while their permission comes and goes.

use super::super::case::{Fault, wrong};
use super::{
    cells::{Cells, tcp},
    scene::{CLIENTS, SERVERS, Scene},
};
use crate::{
    lab::LabError,
    probe::{Side, Stream},
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

const PORT: u16 = 7000;
/// How long both ends are listened to once the policy is in force: several times as long as a sender that hears nothing waits.
const SILENCE: Duration = Duration::from_secs(1);
/// A sender that has heard nothing for some seconds waits as long again.
const AGAIN: Duration = Duration::from_secs(20);

/// It lets no client in, and there is nothing about servers' egress or clients.
const REVOKED: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: servers}
spec:
  podSelector: {matchLabels: {app: server}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: stranger}}}]}]
";
/// The client's side: it may send to others than servers.
const REVOKED_EGRESS: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: clients}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: stranger}}}]}]
";

pub(super) fn revoked(scene: &mut Scene) -> Result<String, Fault> {
    let mut counted = 0;
    for policies in [REVOKED, REVOKED_EGRESS] {
        let mut cells = Cells::of(scene);
        let mut streams = Vec::new();
        for client in CLIENTS {
            for server in SERVERS {
                cells.shut(client, server, &[tcp(PORT)])?;
                for &address in scene.addresses(server)? {
                    let (way, to) = (format!("{client} to {server}"), SocketAddr::new(address, PORT));
                    let stream = Stream::open(&scene.netns_of(client)?, to, scene.responder())
                        .map_err(|source| LabError::NotEstablished { what: way.clone(), source })?;
                    Side::BOTH.into_iter().for_each(|side| stream.send(side, true));
                    streams.push((way, stream));
                }
            }
        }
        flow(&streams, Duration::from_secs(5), "without a policy")?;
        scene.apply(policies)?;
        let silent = cells.require("under the policy", |cell| cell.judged).and_then(|()| silent(&streams));
        scene.clear()?;
        silent?;
        flow(&streams, AGAIN, "once the policy is deleted")?;
        counted += streams.len();
    }
    Ok(format!(
        "{counted} connections, each stopped by the server's or the client's side within {SILENCE:?} of silence on both ends, and gone on"
    ))
}

/// Something arrives at both ends of each.
fn flow(streams: &[(String, Stream)], within: Duration, when: &str) -> Result<(), Fault> {
    let end = Instant::now() + within;
    for (way, stream) in streams {
        for side in Side::BOTH {
            if !stream.flows(side, end.saturating_duration_since(Instant::now()).max(SILENCE)) {
                return wrong(format!("{when} nothing arrives at the {side:?} of the connection of {way}"));
            }
        }
    }
    Ok(())
}

/// Nothing arrives at either end of any.
fn silent(streams: &[(String, Stream)]) -> Result<(), Fault> {
    let received =
        || streams.iter().map(|(_, stream)| Side::BOTH.map(|side| stream.received(side))).collect::<Vec<_>>();
    // What had arrived before is counted first.
    std::thread::sleep(SILENCE / 10);
    let before = received();
    std::thread::sleep(SILENCE);
    for (((way, _), before), after) in streams.iter().zip(before).zip(received()) {
        if before != after {
            let bytes = [0, 1].map(|side| after[side] - before[side]);
            return wrong(format!(
                "under the policy {bytes:?} bytes arrive at client and server of the connection of {way}"
            ));
        }
    }
    Ok(())
}
