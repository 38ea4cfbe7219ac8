//! Five streams of news become one of changes.

use super::{
    backoff::Backoff, connection::Connection, fault::Fault, follower::Follower, kind::Kind, known::Known,
    news::News, parking::Parking, server,
};
use crate::{apply::Input, observe::metrics::Metrics, report::Reporter};
use policy_model::cluster::{Change, TerminationHold};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, mpsc::Sender},
    time::Instant,
};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};
use tracing::{error, info, warn};

/// News that wait to be taken; a follower that is further ahead waits.
const AHEAD: usize = 1024;

/// The API server as a source of changes. Dropping it ends its tasks.
#[derive(Debug)]
pub struct Source {
    news: mpsc::Receiver<News>,
    merge: Merge,
    metrics: Arc<Metrics>,
    _tasks: JoinSet<()>,
}

impl Source {
    /// Begins to list and watch. Must be called in a tokio runtime.
    #[must_use]
    pub fn start(connection: &Arc<Connection>, metrics: Arc<Metrics>) -> Self {
        let (sender, news) = mpsc::channel(AHEAD);
        let mut tasks = JoinSet::new();
        tasks.spawn(begin(connection.clone(), sender, metrics.clone()));
        Self { news, merge: Merge::default(), metrics, _tasks: tasks }
    }

    /// Beginning with what an earlier run has left: what the lists do not name of it is told as deleted.
    #[must_use]
    pub fn with_known(mut self, state: &[Change]) -> Self {
        self.merge.known = Known::new(state, &mut self.merge.hold);
        self
    }

    /// The whole state, once every list is complete.
    ///
    /// # Errors
    /// The first thing that does not work.
    pub async fn first(&mut self) -> Result<Vec<Change>, Fault> {
        let mut changes = Vec::new();
        while !self.merge.is_complete() {
            match self.news.recv().await {
                Some(News::Trouble(_, fault)) => return Err(fault),
                Some(news) => changes.extend(self.merge.take(news).0),
                None => break,
            }
        }
        Ok(changes)
    }

    /// How many objects cannot be understood now.
    #[must_use]
    pub fn problems(&self) -> usize {
        self.merge.problems.values().sum()
    }

    /// Sends the whole state as one message once every list is complete, then what changes, until nobody takes it.
    /// `reporter` is told of what does not work.
    pub async fn follow(mut self, inputs: Sender<Input>, reporter: Reporter) {
        let (mut changes, mut seen) = (Vec::new(), None);
        while let Some(first) = self.news.recv().await {
            let more = std::iter::from_fn(|| self.news.try_recv().ok()).take(AHEAD);
            for news in std::iter::once(first).chain(more.collect::<Vec<_>>()) {
                self.merge.report(&news, &self.metrics, &reporter);
                let (passed, at) = self.merge.take(news);
                changes.extend(passed);
                seen = seen.or(at);
            }
            if self.merge.is_complete() && (!changes.is_empty() || !self.merge.is_told) {
                let seen = seen.take().unwrap_or_else(Instant::now);
                let changes = std::mem::take(&mut changes);
                self.merge.is_told = true;
                if inputs.send(Input::Changes { changes, seen }).is_err() {
                    return;
                }
            }
            if self.merge.is_told
                && let Some(version) = self.merge.policies_at.take()
                && inputs.send(Input::PoliciesAt(version)).is_err()
            {
                return;
            }
        }
    }
}

/// Follows every kind, once the API server is known to have what is asked of it.
async fn begin(connection: Arc<Connection>, news: mpsc::Sender<News>, metrics: Arc<Metrics>) {
    // It concerns all kinds, of which this is the first that is needed.
    const KIND: Kind = Kind::Namespaces;
    let (mut backoff, mut in_trouble) = (Backoff::default(), false);
    loop {
        match server::require(&connection).await {
            Ok(version) => {
                info!(%version, "the API server answers");
                break;
            }
            // Some hide it. What is really not there is said by the first list.
            Err(Fault::Forbidden { message, .. }) => {
                info!(message, "the API server does not tell its version, so that it is not checked");
                break;
            }
            Err(fault) => {
                let wait = backoff.wait(fault.retry_after());
                in_trouble = true;
                if news.send(News::Trouble(KIND, fault)).await.is_err() {
                    return;
                }
                sleep(wait).await;
            }
        }
    }
    if in_trouble && news.send(News::Recovered(KIND)).await.is_err() {
        return;
    }
    let follow = |kind: Kind| {
        let read = metrics.read_bytes(kind.resource());
        Follower::new(kind, connection.clone(), news.clone(), read).run()
    };
    let mut followers: JoinSet<()> = Kind::ALL.into_iter().map(follow).collect();
    while followers.join_next().await.is_some() {}
}

/// The state between the followers and the loop.
#[derive(Debug, Default)]
struct Merge {
    complete: BTreeSet<Kind>,
    /// The first state has been sent.
    is_told: bool,
    /// The newest version of the policies' watch that the loop has not been told.
    policies_at: Option<u64>,
    parking: Parking,
    hold: TerminationHold,
    known: Known,
    problems: BTreeMap<Kind, usize>,
    /// What does not work now.
    troubles: BTreeMap<Kind, Fault>,
}

impl Merge {
    /// Every list has been told once.
    fn is_complete(&self) -> bool {
        self.complete.len() == Kind::ALL.len()
    }

    /// What follows from news, and when it was seen.
    fn take(&mut self, news: News) -> (Vec<Change>, Option<Instant>) {
        let mut seen = None;
        let due = match news {
            News::Change { change, seen: at } => {
                seen = Some(at);
                if !self.is_complete() {
                    self.known.named(&change);
                }
                let freed = self.parking.pass(&change);
                std::iter::once(change).chain(freed).collect()
            }
            News::PolicyDeleted { key, ending_at, seen: at } => {
                seen = Some(at);
                self.parking.delete(key, ending_at).into_iter().collect()
            }
            News::NamespacesAt(version) => self.parking.seen(version),
            News::PoliciesAt(version) => {
                self.policies_at = Some(version);
                Vec::new()
            }
            News::Complete(kind) => {
                let was_complete = self.is_complete();
                self.complete.insert(kind);
                if self.is_complete() && !was_complete { self.known.gone() } else { Vec::new() }
            }
            News::Problems(kind, count) => {
                self.problems.insert(kind, count);
                Vec::new()
            }
            News::Restarted(_) | News::Trouble(..) | News::Recovered(_) => Vec::new(),
        };
        (due.into_iter().flat_map(|change| self.hold.pass(change)).collect(), seen)
    }

    /// Tells people; what all kinds suffer from once.
    fn report(&mut self, news: &News, metrics: &Metrics, reporter: &Reporter) {
        match news {
            News::Trouble(kind, fault) => {
                let is_new = !self.troubles.values().any(|known| fault.is_no_news_after(known));
                self.troubles.insert(*kind, fault.clone());
                let help = fault.help();
                if !matches!(fault, Fault::Expired(_)) {
                    reporter.trouble(kind.resource(), Some(&fault.to_string()));
                }
                match fault {
                    // It happens after every longer absence.
                    Fault::Expired(_) => info!("{fault}"),
                    _ if !is_new => {}
                    Fault::Unauthorized(_)
                    | Fault::Forbidden { .. }
                    | Fault::TooOld { .. }
                    | Fault::NotServed { .. } => error!(help, "{fault}"),
                    _ => warn!(help, "{fault}; what was in force stays"),
                }
            }
            News::Recovered(kind) => {
                let was = self.troubles.remove(kind);
                reporter.trouble(kind.resource(), None);
                if was.is_some() && self.troubles.is_empty() {
                    info!("the API server is followed again");
                }
            }
            News::Problems(kind, count) => {
                let others: usize = self.problems.iter().filter(|(k, _)| *k != kind).map(|(_, n)| n).sum();
                metrics.set_problems(others + count);
            }
            News::Restarted(kind) => metrics.count_watch_restart(kind.resource()),
            _ => {}
        }
    }
}
