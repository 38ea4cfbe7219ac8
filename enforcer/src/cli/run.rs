//! `policyd run`.

use super::{
    Failure, LogFormat, RunOptions, api, dry_run,
    host::{Host, ONE_IS_ENOUGH},
    preflight, runtime,
};
use crate::{
    apply::{Daemon, Outcome},
    folder_watch::FolderWatch,
    nft::Kernel,
    node::{
        flags::FlagKeeper,
        tracker::{Settings, Tracker},
    },
    observe::metrics::Metrics,
    report::Reporter,
    source::{
        kube::Credentials,
        manifests::{self, Fault, Folder},
    },
};
use policy_model::cluster::Change;
use std::{path::Path, sync::Arc};
use tracing::error;

pub(super) fn run(options: &RunOptions, format: LogFormat) -> Result<(), Failure> {
    match (&options.manifests, &options.kubeconfig) {
        (Some(root), _) => run_folder(options, root, format),
        (None, Some(path)) => api::run(options, Credentials::Kubeconfig(path.clone())),
        (None, None) if Credentials::are_in_cluster() => api::run(options, Credentials::InCluster),
        (None, None) => Err(Failure::usage(
            "no source of policies is given",
            "give --kubeconfig FILE to follow an API server or --manifests DIR to follow a folder; a pod needs neither",
        )),
    }
}

fn run_folder(options: &RunOptions, root: &Path, format: LogFormat) -> Result<(), Failure> {
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
        let (host, ground) = Host::prepare(options)?;
        let daemon = ground.daemon(changes, false)?;
        manifests::follow(folder, watch, host.sender.clone(), host.metrics.clone())
            .map_err(|e| cannot("follow the folder of manifests", &e))?;
        return host.serve(Reporter::silent(), move |inputs| {
            daemon.run(inputs);
            Ok(())
        });
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
        guards: (&options.guards).into(),
        limits: (&options.limits).into(),
        bridge_family,
    }
}

pub(super) fn cannot(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(format!("cannot {what}: {error}"), "")
}

pub(super) fn once(options: &RunOptions, changes: Vec<Change>) -> Result<(), Failure> {
    let _sole = preflight::claim(ONE_IS_ENOUGH)?;
    let facts = runtime::read_host(&options.host).map_err(|e| cannot("read this host's links", &e))?;
    let bridge_family = preflight::require(&facts)?;
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

pub(super) fn flags(options: &RunOptions) -> Result<FlagKeeper, Failure> {
    let folder = &options.state.state_dir;
    FlagKeeper::open(folder).map_err(|e| cannot(&format!("read the state folder {}", folder.display()), &e))
}

pub(super) fn no_flags(error: std::io::Error) -> Failure {
    Failure::failed(
        format!("the bridge-nf-call sysctls are off, and the pod bridge's own flags cannot be set: {error}"),
        "set net.bridge.bridge-nf-call-iptables and -ip6tables to 1, or give --state-dir a folder that can be written",
    )
}
