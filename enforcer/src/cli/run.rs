//! `policyd run`.

use super::{Failure, LogFormat, RunOptions, dry_run, preflight, signals::Signals};
use crate::{
    apply::{Daemon, Input, Outcome},
    folder_watch::FolderWatch,
    nft::{self, Kernel, Monitor},
    node::{
        flags::FlagKeeper,
        tracker::{Settings, Tracker},
        watch,
    },
    observe::{http, metrics::Metrics},
    source::manifests::{self, Fault, Folder},
};
use policy_model::cluster::Change;
use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    time::Instant,
};
use tokio::runtime::{Builder, Runtime};
use tracing::{error, info, warn};

pub(super) fn run(options: &RunOptions, format: LogFormat) -> Result<(), Failure> {
    let Some(root) = &options.manifests else {
        return Err(Failure::usage(
            "no source of policies is given",
            "this version reads a folder of manifests: policyd run --manifests DIR --node-name NAME",
        ));
    };
    let mut folder = Folder::open(root).map_err(|e| {
        Failure::usage(e.to_string(), "give --manifests a folder that exists and can be read")
    })?;
    // The watch first: what changes while the folder is read is seen afterwards.
    let watch = FolderWatch::new(root).map_err(|e| cannot(&format!("watch {}", root.display()), &e))?;
    let changes = folder.rescan().map_err(|e| cannot(&format!("read {}", root.display()), &e))?;
    let faults = folder.faults();
    show(&faults, folder.objects(), format);

    if options.dry_run {
        dry_run::run(options, changes)?;
    } else if options.once {
        once(options, changes)?;
    } else {
        let metrics = Arc::new(Metrics::new());
        return follow(options, folder, watch, changes, metrics);
    }
    if faults.is_empty() { Ok(()) } else { Err(Failure::Said) }
}

/// Each fault with its line and place, then how many objects are left; for people, unless a program reads the log.
fn show(faults: &[Fault], in_force: usize, format: LogFormat) {
    for fault in faults {
        match format {
            LogFormat::Text => eprintln!("{:?}", miette::Report::new(fault.clone())),
            LogFormat::Json => error!("{}", fault.line()),
        }
    }
    if format == LogFormat::Json {
        return;
    }
    if !faults.is_empty() {
        eprintln!("{}, {} in force.", counted(faults.len(), "problem"), counted(in_force, "object"));
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

pub(super) fn settings(options: &RunOptions, bridge_family: bool) -> Settings {
    Settings {
        node: options.node_name.as_str().into(),
        pod_interfaces: options.host.pod_interface.iter().map(|name| name.as_str().into()).collect(),
        overlay_ports: options.host.overlay_port.clone(),
        established: options.established.into(),
        unknown_pods: options.unknown_pods.into(),
        bridge_family,
    }
}

fn cannot(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(format!("cannot {what}: {error}"), "")
}

fn once(options: &RunOptions, changes: Vec<Change>) -> Result<(), Failure> {
    let facts = watch::read_once(&options.host.cni_dir).map_err(|e| cannot("read this host's links", &e))?;
    let bridge_family = preflight::require(&nft::probe(), &facts)?;
    let kernel = Kernel::open().map_err(|e| cannot("talk to nftables", &e))?;
    let tracker = Tracker::new(settings(options, bridge_family));
    let objects = changes.len();
    let mut daemon = Daemon::new(kernel, tracker, facts, changes, Arc::new(Metrics::new()))
        .with_flags(flags(options)?)
        .map_err(no_flags)?;
    let outcome = daemon.start().map_err(|e| cannot("bring the ruleset into force", &e))?;
    let sent = match outcome {
        Outcome::Unchanged => "nothing to change".into(),
        Outcome::Committed { ops, took } => format!("{ops} operations in {:.1} ms", took.as_secs_f64() * 1e3),
    };
    let stats = daemon.engine().compiler().stats();
    let sizes = [(objects, "object"), (stats.local_pods, "local pod"), (stats.programs, "program")];
    let sizes: Vec<String> = sizes.into_iter().map(|(count, what)| counted(count, what)).collect();
    println!("in force: {} ({sent})", sizes.join(", "));
    if daemon.engine().is_healthy() { Ok(()) } else { Err(Failure::Said) }
}

fn flags(options: &RunOptions) -> Result<FlagKeeper, Failure> {
    let folder = &options.state.state_dir;
    FlagKeeper::open(folder).map_err(|e| cannot(&format!("read the state folder {}", folder.display()), &e))
}

fn no_flags(error: std::io::Error) -> Failure {
    Failure::failed(
        format!("the bridge-nf-call sysctls are off, and the pod bridge's own flags cannot be set: {error}"),
        "set net.bridge.bridge-nf-call-iptables and -ip6tables to 1, or give --state-dir a folder that can be written",
    )
}

fn follow(
    options: &RunOptions,
    folder: Folder,
    watch: FolderWatch,
    changes: Vec<Change>,
    metrics: Arc<Metrics>,
) -> Result<(), Failure> {
    let runtime =
        Builder::new_current_thread().enable_all().build().map_err(|e| cannot("start the runtime", &e))?;
    let (sender, inputs) = mpsc::channel();
    let hosts = sender.clone();
    let report =
        move |facts| hosts.send(Input::Host { facts: Box::new(facts), seen: Instant::now() }).is_ok();
    let facts =
        watch::follow(&options.host.cni_dir, report).map_err(|e| cannot("follow this host's links", &e))?;
    let bridge_family = preflight::require(&nft::probe(), &facts)?;
    if !bridge_family {
        warn!("this kernel has no bridge family in nftables: the source guard is off");
    }
    let listener = runtime.block_on(http::listen(options.http)).map_err(|e| {
        let what = format!("cannot listen at {}: {e}", options.http);
        Failure::failed(what, "another policyd may be running; give --http another address, port 0 for any")
    })?;

    let kernel = Kernel::open().map_err(|e| cannot("talk to nftables", &e))?;
    // Listening begins before the tables are read, so that nobody's change is missed.
    let monitor = Monitor::open(kernel.port()).map_err(|e| cannot("listen to nftables", &e))?;
    let tracker = Tracker::new(settings(options, bridge_family));
    let mut daemon = Daemon::new(kernel, tracker, facts, changes, metrics.clone())
        .with_flags(flags(options)?)
        .map_err(no_flags)?;
    // The loop tries again; what was in force before stays until then.
    if let Err(error) = daemon.start() {
        error!(%error, "the first revision is not in force yet");
    }
    manifests::follow(folder, watch, sender.clone(), metrics.clone())
        .map_err(|e| cannot("follow the folder of manifests", &e))?;
    if let Ok(address) = listener.local_addr() {
        info!(%address, "HTTP");
    }
    serve(&runtime, daemon, inputs, sender, monitor, listener, metrics)
}

/// Runs the loop in a thread of its own, and everything that waits in this one, until a signal comes.
fn serve(
    runtime: &Runtime,
    mut daemon: Daemon<Kernel>,
    inputs: Receiver<Input>,
    sender: Sender<Input>,
    monitor: Monitor,
    listener: tokio::net::TcpListener,
    metrics: Arc<Metrics>,
) -> Result<(), Failure> {
    runtime.block_on(async {
        let mut signals = Signals::catch().map_err(|e| cannot("catch signals", &e))?;
        let mut work = tokio::task::spawn_blocking(move || daemon.run(&inputs));
        let answers = http::serve(listener, metrics, sender.clone());
        tokio::spawn(async {
            if let Err(error) = answers.await {
                error!(%error, "HTTP is not served any more");
            }
        });
        tokio::spawn(listen(monitor, sender.clone()));
        tokio::select! {
            signal = signals.next() => {
                info!(signal, "stopping; the tables stay in force");
                // The loop may have ended by itself.
                let _ = sender.send(Input::Stop);
                (&mut work).await.map_err(|e| cannot("end the loop", &e))
            }
            ended = &mut work => {
                let why = ended.err().map_or_else(|| "it ended".to_owned(), |e| e.to_string());
                Err(cannot("go on without the loop", &why))
            }
        }
    })
}

/// Tells the loop of somebody else's changes of our tables.
async fn listen(monitor: Monitor, sender: Sender<Input>) {
    let mut stream = match monitor.into_stream() {
        Ok(stream) => stream,
        Err(error) => return error!(%error, "changes of nftables by others are seen only once a minute"),
    };
    loop {
        let foreign = match stream.next().await {
            Ok(nft::Event::Commit { by_us: true, .. }) => false,
            Ok(nft::Event::Commit { touched, process, name, .. }) => {
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
