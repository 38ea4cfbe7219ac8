//! What a `policyd run` that stays needs beside its source: this host, the kernel, HTTP, signals, and the loop's thread.

use super::{
    Failure, RunOptions, preflight,
    run::{cannot, flags, no_flags, settings},
    runtime::Asked,
    signals::Signals,
};
use crate::{
    apply::{Daemon, Input, Reader},
    fitness::{
        self,
        watch::{Digest, Nudge},
    },
    nft::{self, Backend, Kernel, Monitor},
    node::{facts::Facts, flags::FlagKeeper, sole::Sole, tracker::Tracker, watch},
    observe::{http, metrics::Metrics},
    report::Reporter,
};
use policy_model::cluster::Change;
use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
};
use tracing::{error, info, warn};

/// What to do about another `policyd`.
pub(super) const ONE_IS_ENOUGH: &str =
    "one is enough; `ss --unix --all --processes | grep palisade/policyd` tells which process it is";

/// What waits, and what is waited for.
pub(super) struct Host {
    /// Everything asynchronous runs in it, in this thread, while [`Self::serve`] runs.
    pub(super) runtime: Runtime,
    /// To the loop.
    pub(super) sender: Sender<Input>,
    pub(super) metrics: Arc<Metrics>,
    inputs: Receiver<Input>,
    monitor: Monitor,
    listener: TcpListener,
    fitness: fitness::Settings,
    nudge: Sender<Nudge>,
    nudges: Receiver<Nudge>,
    sole: Option<Sole>,
}

/// What the loop is made of, beside the cluster's objects.
pub(super) struct Ground {
    kernel: Kernel,
    /// Reads the tables while the other commits.
    reader: Reader,
    tracker: Tracker,
    facts: Facts,
    flags: FlagKeeper,
    metrics: Arc<Metrics>,
    /// Who is told of what the first revision finds too, and after how long a policy that selects nothing is told of.
    reports: Option<(Reporter, Duration)>,
}

impl Host {
    /// Looks at this host and opens what is needed. Nothing is changed yet.
    pub(super) fn prepare(options: &RunOptions) -> Result<(Self, Ground), Failure> {
        let sole = preflight::claim(ONE_IS_ENOUGH)?;
        let metrics = Arc::new(Metrics::new());
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| cannot("start the runtime", &e))?;
        let (sender, inputs) = mpsc::channel();
        let hosts = sender.clone();
        let (nudge, nudges) = mpsc::channel();
        let mut digest = Digest::default();
        let links = nudge.clone();
        let report = move |facts: Facts, seen| {
            let now = Digest::of(&facts);
            if now != digest {
                digest = now;
                // Without a watch nobody waits for it.
                let _ = links.send(Nudge::Host);
            }
            hosts.send(Input::Host { facts: Box::new(facts), seen }).is_ok()
        };
        let asked = Asked::prepare(&options.host).map_err(|e| cannot("ask the container runtime", &e))?;
        let sandboxes = asked.as_ref().map(|asked| asked.sandboxes.clone());
        let facts = watch::follow(&options.host.cni_folders(), sandboxes, report)
            .map_err(|e| cannot("follow this host's links", &e))?;
        let bridge_family = preflight::require(&facts)?;
        if !bridge_family {
            warn!("this kernel has no bridge family in nftables: the source guard is off");
        }
        let listener = runtime.block_on(http::listen(options.http)).map_err(|e| {
            let what = format!("cannot listen at {}: {e}", options.http);
            Failure::failed(what, "give --http another address, port 0 for any")
        })?;

        let kernel = Kernel::open().map_err(|e| cannot("talk to nftables", &e))?;
        // Listening begins before the tables are read, so that nobody's change is missed.
        let monitor = Monitor::open(kernel.port()).map_err(|e| cannot("listen to nftables", &e))?;
        let tracker = Tracker::new(settings(options, bridge_family));
        let second = Kernel::open().map_err(|e| cannot("talk to nftables", &e))?;
        let reader = Reader::start(second, sender.clone()).map_err(|e| cannot("start a thread", &e))?;
        let flags = flags(options)?;
        let ground =
            Ground { kernel, reader, tracker, facts, flags, metrics: metrics.clone(), reports: None };
        let watched = asked.as_ref().map(|asked| asked.watched.clone());
        let fitness =
            fitness::Settings { runtime: watched, ..options.host.fitness((&options.guards).into()) };
        if let Some(asked) = asked {
            let nudge = nudge.clone();
            // Without a watch nobody waits for it.
            let changed = move || _ = nudge.send(Nudge::Host);
            asked.follow(changed).map_err(|e| cannot("start a thread", &e))?;
        }
        Ok((
            Self { runtime, sender, metrics, inputs, monitor, listener, fitness, nudge, nudges, sole },
            ground,
        ))
    }

    /// Runs `work` in a thread of its own, and everything that waits in this one, until a signal comes. `work` ends when it
    /// is told [`Input::Stop`].
    ///
    /// `reporter` is told of what changes on this host.
    pub(super) fn serve(
        self,
        reporter: Reporter,
        work: impl FnOnce(&Receiver<Input>) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), Failure> {
        let Self { runtime, sender, metrics, inputs, monitor, listener, fitness, nudge, nudges, sole: _sole } =
            self;
        fitness::watch::Watch::new(fitness, metrics.clone(), reporter, sender.clone())
            .start(nudges)
            .map_err(|e| cannot("watch this host", &e))?;
        if let Ok(address) = listener.local_addr() {
            info!(%address, "HTTP");
        }
        runtime.block_on(async {
            let mut signals = Signals::catch().map_err(|e| cannot("catch signals", &e))?;
            let mut work = tokio::task::spawn_blocking(move || {
                // For those who look at threads; one without its name works as well.
                let _ = nix::sys::prctl::set_name(c"loop");
                work(&inputs)
            });
            let answers = http::serve(listener, metrics, sender.clone());
            tokio::spawn(async {
                if let Err(error) = answers.await {
                    error!(%error, "HTTP is not served any more");
                }
            });
            tokio::spawn(listen(monitor, sender.clone(), nudge));
            tokio::select! {
                signal = signals.next() => {
                    info!(signal, "stopping; the tables stay in force");
                    // The loop may have ended by itself.
                    let _ = sender.send(Input::Stop);
                    (&mut work).await.map_err(|e| cannot("end the loop", &e))?
                }
                ended = &mut work => {
                    ended.map_err(|e| cannot("go on without the loop", &e))??;
                    Err(cannot("go on without the loop", &"it ended"))
                }
            }
        })
    }
}

impl Ground {
    /// Tells others of this node: see [`Daemon::with_reporter`].
    pub(super) fn reporting(self, reporter: Reporter, nothing_for: Duration) -> Self {
        Self { reports: Some((reporter, nothing_for)), ..self }
    }

    /// Brings a first state into force.
    pub(super) fn daemon(self, changes: Vec<Change>, provisional: bool) -> Result<Daemon<Kernel>, Failure> {
        let Self { kernel, reader, tracker, facts, flags, metrics, reports } = self;
        let daemon = Daemon::new(kernel, tracker, facts, changes, metrics)
            .with_reader(reader)
            .with_flags(flags)
            .map_err(no_flags)?;
        let daemon = if provisional { daemon.provisional() } else { daemon };
        let mut daemon = match reports {
            Some((reporter, nothing_for)) => daemon.with_reporter(reporter, nothing_for),
            None => daemon,
        };
        // The loop tries again; what was in force before stays until then.
        if let Err(error) = daemon.start() {
            error!(%error, "the first revision is not in force yet");
        }
        Ok(daemon)
    }

    /// A daemon with the source's first state. Until that is there the tables stay as they are; where there are none, after a
    /// boot, the state on disk is brought into force meanwhile. `None`: it is told to stop first.
    pub(super) fn begin(
        mut self,
        inputs: &Receiver<Input>,
        mut state: Vec<Change>,
    ) -> Result<Option<Daemon<Kernel>>, Failure> {
        if !state.is_empty() && !self.has_tables() {
            info!(
                objects = state.len(),
                "no tables are here: the state on disk is in force until the source answers"
            );
            return self.daemon(state, true).map(Some);
        }
        loop {
            match inputs.recv() {
                Ok(Input::Changes { changes, .. }) => {
                    // On top of the state, which has policies that only hold until their pods are gone.
                    state.extend(changes);
                    return self.daemon(state, false).map(Some);
                }
                Ok(Input::Host { facts, .. }) => self.facts = *facts,
                // The tables are read when the first state is there; nothing can be asked before.
                Ok(
                    Input::Foreign
                    | Input::Part(_)
                    | Input::Conntrack { .. }
                    | Input::PoliciesAt(_)
                    | Input::Ask(_),
                ) => {}
                Ok(Input::Stop) | Err(_) => return Ok(None),
            }
        }
    }

    /// If they cannot be read, they are taken to be there: nothing is put in their place.
    fn has_tables(&mut self) -> bool {
        match self.kernel.dump() {
            Ok(dump) => !dump.ruleset.tables.is_empty() || !dump.foreign.is_empty(),
            Err(error) => {
                warn!(%error, "the tables cannot be read");
                true
            }
        }
    }
}

/// Tells the loop of somebody else's changes of our tables.
async fn listen(monitor: Monitor, sender: Sender<Input>, nudge: Sender<Nudge>) {
    let mut stream = match monitor.into_stream() {
        Ok(stream) => stream,
        Err(error) => return error!(%error, "changes of nftables by others are seen only once a minute"),
    };
    loop {
        let foreign = match stream.next().await {
            Ok(nft::Event::Commit { touched, process, name, .. }) => {
                let _ = nudge.send(Nudge::Rules);
                if !touched.is_empty() {
                    warn!(process, name, tables = ?touched, "somebody else has changed our tables");
                }
                !touched.is_empty()
            }
            Ok(nft::Event::Lost) => true,
            Err(error) => return error!(%error, "changes of nftables by others are seen only once a minute"),
        };
        if foreign && sender.send(Input::Foreign).is_err() {
            return;
        }
    }
}
