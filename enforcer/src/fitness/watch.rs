//! Looks at the host again while policyd runs, and says what has changed: in the log, as a metric, and as an Event on the
//! Node. In a thread of its own: listing everybody's chains may take some milliseconds, for which no commit waits.

use super::{Fact, Finding, Host, Mark, Settings};
use crate::{
    apply::{Input, Question},
    node::{
        facts::Facts,
        rtnl::{BridgeFlags, LinkKind},
        sysctl::BridgeNetfilter,
    },
    observe::metrics::Metrics,
    report::{Event, Reporter},
};
use ipnet::IpNet;
use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;
use tracing::{info, warn};

/// In any case it is looked this often.
const EVERY: Duration = Duration::from_secs(60);
/// After a change of links or switches it is looked at once, but not more often than this.
const HOST_GAP: Duration = Duration::from_secs(1);
/// After somebody's change of nftables: kube-proxy changes its own tables all the time, and listing them costs.
const RULES_GAP: Duration = Duration::from_secs(15);

/// Why it should be looked sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nudge {
    /// Links, switches or Flannel's file.
    Host,
    /// Rules of somebody else.
    Rules,
}

/// What is told of, and to whom.
#[derive(Debug)]
pub struct Watch {
    settings: Settings,
    metrics: Arc<Metrics>,
    reporter: Reporter,
    /// To the loop, which knows this node's object.
    inputs: Sender<Input>,
    known: BTreeMap<Fact, Finding>,
    said: Option<String>,
}

impl Watch {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(settings: Settings, metrics: Arc<Metrics>, reporter: Reporter, inputs: Sender<Input>) -> Self {
        Self { settings, metrics, reporter, inputs, known: BTreeMap::new(), said: None }
    }

    /// Looks now, each minute and soon after a nudge, until nobody nudges any more.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(mut self, nudges: Receiver<Nudge>) -> io::Result<()> {
        let run = move || {
            let (mut looked, mut next) = (None::<Instant>, Instant::now());
            loop {
                match nudges.recv_timeout(next.saturating_duration_since(Instant::now())) {
                    Ok(nudge) => {
                        let gap = match nudge {
                            Nudge::Host => HOST_GAP,
                            Nudge::Rules => RULES_GAP,
                        };
                        next = next.min(looked.map_or_else(Instant::now, |looked| looked + gap));
                        continue;
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                self.look();
                looked = Some(Instant::now());
                next = Instant::now() + EVERY;
            }
        };
        thread::Builder::new().name("fitness".into()).spawn(run).map(drop)
    }

    fn look(&mut self) {
        match Host::read(self.settings.clone(), self.spec()) {
            Ok(host) => {
                self.said = None;
                host.findings().into_iter().for_each(|finding| self.take(finding));
            }
            Err(error) => {
                let error = error.to_string();
                if self.said.as_ref() != Some(&error) {
                    warn!(error, "this host cannot be looked at");
                    self.said = Some(error);
                }
            }
        }
    }

    /// The Node's ranges. `None`: the loop has no state yet.
    fn spec(&self) -> Option<Vec<IpNet>> {
        let (sender, receiver) = oneshot::channel();
        self.inputs.send(Input::Ask(Question::PodRanges(sender))).ok()?;
        receiver.blocking_recv().ok()
    }

    fn take(&mut self, finding: Finding) {
        self.metrics.set_fact(finding.fact, finding.mark);
        let before = self.known.insert(finding.fact, finding.clone());
        let fact = finding.fact.name();
        let Finding { mark, value, what, help, .. } = &finding;
        match &before {
            Some(before) if before.value == *value && before.mark == *mark => return,
            Some(before) => {
                let was = before.value.as_str();
                match mark {
                    Mark::Ok => info!(fact, was, now = value, "this host has changed: {what}"),
                    _ => warn!(fact, was, now = value, help, "this host has changed: {what}"),
                }
            }
            None if *mark == Mark::Ok => return,
            None => warn!(fact, now = value, help, "{what}"),
        }
        // What was so at the start is told if policy does not hold with it; a node on which no pod has been yet lacks much.
        if before.is_some() || *mark == Mark::Fail {
            let note = help.as_ref().map_or_else(|| what.clone(), |help| format!("{what}. To do: {help}"));
            self.reporter.tell(Event::node(
                *mark != Mark::Ok,
                finding.fact.reason(),
                format!("{fact}: {note}"),
            ));
        }
    }
}

/// What of a reading bears on the findings, and does not change with each pod.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Digest {
    netfilter: Option<BridgeNetfilter>,
    subnets: Vec<IpNet>,
    devices: Vec<(String, Option<BridgeFlags>)>,
}

impl Digest {
    /// Of a reading.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        let device = |link: &crate::node::rtnl::Link| match &link.kind {
            LinkKind::Other(kind) if kind == "veth" => None,
            LinkKind::Bridge(flags) => Some((link.name.clone(), Some(*flags))),
            _ => Some((link.name.clone(), None)),
        };
        Self {
            netfilter: facts.netfilter,
            subnets: facts.subnets.clone(),
            devices: facts.links.iter().filter_map(device).collect(),
        }
    }
}
