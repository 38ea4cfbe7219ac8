//! The live changes that are about flows that are there already.

use super::{DemoError, checks::Checks, folder::Edit, screen::Screen, stage::Stage};
use crate::{
    lab::{Place, PodSpec},
    probe::{Capture, Outcome, Probe, Side, Stream, UdpFlow, contains},
};
use policy_model::object::ObjectKey;
use std::{
    net::{IpAddr, SocketAddr},
    thread,
    time::Duration,
};

/// How long the silence of a revoked connection is listened to.
const SILENCE: Duration = Duration::from_millis(500);
/// A connection that may go on does so at its next retransmission.
const RESUMED: Duration = Duration::from_secs(6);
/// What a sending end of a [`Stream`] writes.
const PAYLOAD: [u8; 64] = [b'x'; 64];
/// The source port of a flow that another pod takes up.
const TAKEN_PORT: u16 = 40_001;

/// A flow between pods that no change concerns: none of its datagrams may be lost, whatever else changes.
#[derive(Debug)]
pub(super) struct Bystander(UdpFlow);

impl Bystander {
    /// From a front on one node to a DNS server on the other.
    pub(super) fn start(stage: &Stage) -> Result<Self, DemoError> {
        let to = SocketAddr::new(address(stage, "kube-system", "coredns-9c8d-a2s4d", 4)?, 53);
        let from = Place::pod("shop", "front-58d6-w9q4m");
        Ok(Self(stage.lab().open_udp_flow(from, to, Duration::from_millis(2))?))
    }

    /// Ends it and counts.
    pub(super) fn end(self, screen: &mut Screen<'_>, checks: &mut Checks) {
        let (there, back) = self.0.settle();
        let lost = there.lost.len() + back.lost.len();
        screen.paragraph(
            4,
            &format!(
                "Through all of these changes front-58d6-w9q4m exchanged datagrams with a DNS server: {} sent, {lost} lost.",
                there.sent + back.sent
            ),
        );
        checks.check(there.sent > 0 && back.sent > 0, || "the unaffected flow did not flow".to_owned());
        checks.check(lost == 0 && there.refused == 0, || {
            format!("an unaffected flow lost {lost} datagrams ({there:?}; {back:?})")
        });
    }
}

fn address(stage: &Stage, namespace: &str, name: &str, family: u8) -> Result<IpAddr, DemoError> {
    let key = ObjectKey::new(namespace, name);
    let pod = stage.cluster.pod(&key);
    let address = pod.and_then(|pod| pod.ips.iter().copied().find(|ip| ip.is_ipv4() == (family == 4)));
    address.ok_or_else(|| DemoError::Company(format!("pod {key} has no IPv{family} address")))
}

/// The pod that starts on the address of the one that is gone: a pod of the shop, but no api.
const BATCH: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: batch-0, namespace: shop, labels: {app: batch}}
spec: {nodeName: node-1, containers: [{name: main, image: registry.example/batch:1}]}
status: {phase: Running, podIP: 10.244.1.4, podIPs: [{ip: 10.244.1.4}, {ip: \"fd00:10:244:1::4\"}]}
";

/// A pod is deleted, and its address becomes another pod's: flows of the old one are not the new one's.
pub(super) fn tell_address_reused(
    stage: &mut Stage,
    screen: &mut Screen<'_>,
    checks: &mut Checks,
) -> Result<(), DemoError> {
    screen.heading("A pod is deleted, and its address becomes another pod's");
    screen.paragraph(
        4,
        "An api pod has a connection to the database and a UDP flow to the cache. It is deleted while the database is \
         sending, and a batch pod starts on its address. Policies give the batch pod nothing of that.",
    );
    let (old, new) = (ObjectKey::new("shop", "api-7c9f-h5t8b"), ObjectKey::new("shop", "batch-0"));
    let db = SocketAddr::new(address(stage, "shop", "db-0", 4)?, 5432);
    let cache = address(stage, "shop", "cache-0", 4)?;
    let taken_up = |pod: &ObjectKey| Probe::udp(pod.clone(), cache, 6379).from_port(TAKEN_PORT);
    let stream = stage.lab().open_stream(old.clone(), db)?;
    stream.send(Side::Server, true);
    let before = stage.lab().capture(old.clone(), "eth0")?;
    let udp = stage.lab().probe(taken_up(&old))?;
    checks
        .check(udp.outcome == Outcome::Allowed, || "the api's UDP flow to the cache did not open".to_owned());
    let flows = stream.flows(Side::Client, Duration::from_secs(1));
    checks.check(flows, || "the database's bytes did not reach the api pod".to_owned());
    // The measure itself can fail: while the flow is allowed, its bytes are seen.
    checks.check(payloads(&before)? > 0, || "the capture does not see the database's bytes".to_owned());
    drop(before);

    let gone = stage.lab().delete_pod(&old)?;
    stage.edit(screen, &[Edit::Document { file: "shop.yaml", with: "name: api-7c9f-h5t8b" }])?;
    let start = PodSpec::new(gone.node(), &new.namespace, &new.name).ipv4(gone.ipv4()).ipv6(gone.ipv6());
    stage.lab().add_pod(start)?;
    let after = stage.lab().capture(new.clone(), "eth0")?;
    stage.edit(screen, &[Edit::Add { file: "batch.yaml", text: BATCH }])?;
    let sent = stream.sent(Side::Server);
    let udp = stage.lab().probe(taken_up(&new))?;
    checks.check(udp.outcome == Outcome::Dropped, || {
        format!("the batch pod took up the api's UDP flow to the cache: {}", udp.outcome)
    });
    thread::sleep(SILENCE);
    let leaked = payloads(&after)?;
    checks.check(leaked == 0, || format!("{leaked} segments for the deleted pod reached the new one"));
    drop(stream);
    let text = format!(
        "The database has sent {sent} bytes on its old connection; {leaked} of its segments reached the batch pod. The \
         batch pod's datagram on the api's old UDP flow, port by port the same: {}.",
        udp.outcome
    );
    screen.paragraph(6, &text);
    stage.show_turned(screen, checks)
}

/// Frames with a stream's bytes.
fn payloads(capture: &Capture) -> Result<usize, DemoError> {
    Ok(capture.take()?.iter().filter(|frame| contains(frame, &PAYLOAD)).count())
}

/// The permission of established connections is revoked, and given back.
pub(super) fn tell_revoked(
    stage: &mut Stage,
    screen: &mut Screen<'_>,
    checks: &mut Checks,
) -> Result<(), DemoError> {
    screen.heading("The permission of established connections is revoked");
    screen.paragraph(
        4,
        "The worker has two connections to the database, one of each family, and all four ends are sending. Then the \
         database's policy names the worker no more.",
    );
    let from = Place::pod("shop", "worker-6b5c-j8r2d");
    let open = |family| -> Result<Stream, DemoError> {
        let to = SocketAddr::new(address(stage, "shop", "db-0", family)?, 5432);
        Ok(stage.lab().open_stream(from.clone(), to)?)
    };
    let streams = [open(4)?, open(6)?];
    for (stream, side) in ends(&streams) {
        stream.send(side, true);
    }
    for (stream, side) in ends(&streams) {
        let flows = stream.flows(side, Duration::from_secs(1));
        checks.check(flows, || format!("the worker's connection does not flow to the {side:?}"));
    }
    stage.edit(
        screen,
        &[Edit::Line {
            file: "policy-shop-data.yaml",
            after: "name: db",
            old: "- podSelector: {matchLabels: {app: worker}}",
            new: "",
        }],
    )?;
    let after: u64 = received_during(&streams, SILENCE);
    let before: u64 = ends(&streams).map(|(stream, side)| stream.received(side)).sum();
    checks.check(after == 0, || format!("{after} bytes arrived after the permission was revoked"));
    screen.paragraph(
        6,
        &format!("{before} bytes had arrived; in the {} ms after the commit: {after}.", SILENCE.as_millis()),
    );
    stage.show_turned(screen, checks)?;

    screen.paragraph(4, "It is given back, and the same connections go on.");
    let changed = stage.follow(|folder| folder.restore_file("policy-shop-data.yaml"))?;
    super::stage::tell_commits(screen, &changed);
    for (stream, side) in ends(&streams) {
        let flows = stream.flows(side, RESUMED);
        checks.check(flows, || format!("the worker's connection does not go on to the {side:?}"));
    }
    stage.show_turned(screen, checks)
}

fn ends(streams: &[Stream; 2]) -> impl Iterator<Item = (&Stream, Side)> {
    streams.iter().flat_map(|stream| Side::BOTH.map(|side| (stream, side)))
}

/// Bytes that all ends together receive from now on.
fn received_during(streams: &[Stream; 2], time: Duration) -> u64 {
    thread::scope(|scope| {
        let listeners: Vec<_> = ends(streams)
            .map(|(stream, side)| scope.spawn(move || stream.received_during(side, time)))
            .collect();
        // A listener that panicked has heard who knows what.
        listeners.into_iter().map(|listener| listener.join().unwrap_or(u64::MAX / 8)).sum()
    })
}
