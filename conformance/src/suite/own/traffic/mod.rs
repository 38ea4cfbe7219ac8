//! Traffic between pods that goes on while something is done to their cluster, and what became of it.

mod connections;
mod datagrams;

use super::{
    case::{Fault, wrong},
    pods::{FORBIDDEN, PERMITTED, Pod, Pods},
};
use connections::{Connections, Listener};
use datagrams::{Flow, Receiver};
use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    thread,
    time::Duration,
};

/// Between two datagrams of a permitted flow.
const FLOW: Duration = Duration::from_millis(1);
/// Between two forbidden datagrams of one sender to one address.
const PROBE: Duration = Duration::from_millis(2);
/// Between two new connections.
const CONNECTION: Duration = Duration::from_millis(50);
/// How long something that is on its way may still arrive.
const DRAIN: Duration = Duration::from_millis(700);

/// What was sent, and what of it did not do as the policies say.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Datagrams of permitted flows.
    pub(super) sent: u64,
    /// Those that were not answered.
    pub(super) lost: u64,
    /// Permitted connections that were tried, each a new one.
    pub(super) connections: u64,
    /// Those that did not come about, or whose first packet had to be sent again.
    pub(super) failed: u64,
    /// Datagrams that no policy permits.
    pub(super) probes: u64,
    /// Those that arrived.
    pub(super) leaked: u64,
    /// Where and when something was lost first.
    pub(super) first: Vec<String>,
}

impl Tally {
    /// In words.
    pub(super) fn text(&self) -> String {
        let Self { sent, lost, connections, failed, probes, leaked, first } = self;
        let first: String = first.iter().map(|first| format!("\n{first}")).collect();
        format!(
            "{sent} datagrams of permitted flows, {lost} lost; {connections} permitted connections, {failed} failed; \
             {probes} forbidden probes, {leaked} passed{first}"
        )
    }

    /// Nothing was lost and nothing leaked, and there was something that could have.
    pub(super) fn require_exact(&self, while_: &str) -> Result<(), Fault> {
        if self.sent < 500 || self.probes < 500 || self.connections < 5 {
            return wrong(format!("too little traffic to tell while {while_}: {}", self.text()));
        }
        if self.lost + self.failed + self.leaked > 0 {
            return wrong(format!("while {while_}: {}", self.text()));
        }
        Ok(())
    }
}

/// Traffic that flows. [`Self::stop`] ends it; so does dropping it.
#[derive(Debug)]
pub(super) struct Traffic {
    flows: Vec<Flow>,
    probes: Vec<Flow>,
    connections: Vec<Connections>,
    receivers: Vec<Receiver>,
    listeners: Vec<Listener>,
    stop: Arc<AtomicBool>,
}

impl Traffic {
    /// Starts it: permitted flows and connections within a node and between nodes, and probes against the server's side, the
    /// client's side and a port that is not permitted.
    pub(super) fn start(pods: &Pods) -> Result<Self, Fault> {
        let stop = Arc::new(AtomicBool::new(false));
        let ([client, far_client], [server, far_server]) = (&pods.clients, &pods.servers);
        let [stranger, far_stranger] = &pods.strangers;
        let flows = [(client, server), (client, far_server), (far_client, server)];
        let probes = [
            (stranger, server, PERMITTED),
            (stranger, far_server, PERMITTED),
            (far_stranger, server, PERMITTED),
            (client, &pods.open[0], PERMITTED),
            (client, &pods.open[1], PERMITTED),
            (client, server, FORBIDDEN),
            (far_client, server, FORBIDDEN),
        ];
        let mut this = Self {
            flows: Vec::new(),
            probes: Vec::new(),
            connections: Vec::new(),
            receivers: Vec::new(),
            listeners: Vec::new(),
            stop: stop.clone(),
        };
        for pod in pods.servers.iter().chain(&pods.open) {
            for port in [PERMITTED, FORBIDDEN] {
                this.receivers.push(Receiver::start(pod, port, &stop)?);
            }
        }
        for pod in &pods.servers {
            this.listeners.push(Listener::start(pod, PERMITTED, &stop)?);
        }
        for (from, to) in flows {
            this.flows.push(Flow::start(from, at(to, PERMITTED), FLOW, &stop)?);
        }
        for (from, to, port) in probes {
            this.probes.push(Flow::start(from, at(to, port), PROBE, &stop)?);
        }
        for (from, to) in [(client, far_server), (client, server)] {
            this.connections.push(Connections::start(from, at(to, PERMITTED), CONNECTION, &stop)?);
        }
        Ok(this)
    }

    /// Lets it flow for a while.
    pub(super) fn run_for(pods: &Pods, time: Duration) -> Result<Tally, Fault> {
        let traffic = Self::start(pods)?;
        thread::sleep(time);
        traffic.stop()
    }

    /// Ends it and counts.
    pub(super) fn stop(mut self) -> Result<Tally, Fault> {
        let mut tally = Tally::default();
        for flow in self.flows.iter_mut().chain(&mut self.probes) {
            flow.end();
        }
        // Answers are on their way.
        thread::sleep(DRAIN);
        let arrived = |of: u64| self.receivers.iter().map(|receiver| receiver.count(of)).sum::<u64>();
        for flow in &mut self.flows {
            tally.sent += flow.sent();
            let (lost, first) = flow.lost()?;
            tally.lost += lost;
            tally.first.extend(first);
        }
        for probe in &self.probes {
            tally.probes += probe.sent();
            tally.leaked += arrived(probe.id());
        }
        for connections in self.connections.drain(..) {
            let (tried, failed, first) = connections.end()?;
            tally.connections += tried;
            tally.failed += failed;
            tally.first.extend(first);
        }
        Ok(tally)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.receivers.drain(..).for_each(Receiver::join);
        self.listeners.drain(..).for_each(Listener::join);
    }
}

fn at(pod: &Pod, port: u16) -> SocketAddr {
    SocketAddr::new(pod.address, port)
}
