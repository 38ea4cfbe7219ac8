//! `policyd run` on an API server.

use super::{
    Failure, RunOptions, dry_run,
    host::Host,
    run::{cannot, once},
};
use crate::{
    report::{self, Identity},
    source::kube::{ConnectError, Connection, Credentials, Fault, Source},
    state::{self, Keeper},
};
use policy_model::cluster::{Change, Cluster};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::runtime::Builder;
use tracing::{error, info, warn};

pub(super) fn run(options: &RunOptions, credentials: Credentials) -> Result<(), Failure> {
    if !options.dry_run && !options.once {
        return follow(options, credentials);
    }
    let (changes, problems) = read(credentials)?;
    check_node(&changes.iter().cloned().collect(), &options.node_name);
    if options.dry_run {
        dry_run::run(options, changes)?;
    } else {
        once(options, changes)?;
    }
    if problems == 0 { Ok(()) } else { Err(Failure::Said) }
}

/// The whole state, and how many objects are not in it because they cannot be understood.
fn read(credentials: Credentials) -> Result<(Vec<Change>, usize), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| cannot("start the runtime", &e))?;
    runtime.block_on(async {
        let mut source = Source::start(
            &Arc::new(Connection::open(credentials).await.map_err(no_connection)?),
            Arc::default(),
        );
        let changes = source.first().await.map_err(no_state)?;
        Ok((changes, source.problems()))
    })
}

fn follow(options: &RunOptions, credentials: Credentials) -> Result<(), Failure> {
    let (host, ground) = Host::prepare(options)?;
    let connection = host.runtime.block_on(Connection::open(credentials)).map_err(no_connection)?;
    let connection = Arc::new(connection);
    let file = state::path(&options.state.state_dir);
    let state = last_state(&file);
    let keeper =
        Keeper::new(file, options.node_name.as_str().into()).map_err(|e| cannot("keep the state", &e))?;
    let (sender, metrics) = (host.sender.clone(), host.metrics.clone());
    let (reporter, reports) = report::channel(metrics.clone());
    let source = {
        let _runtime = host.runtime.enter();
        let identity = Identity {
            node: options.node_name.as_str().into(),
            namespace: options.namespace.as_str().into(),
        };
        reports.start(connection.clone(), identity, sender.clone());
        Source::start(&connection, metrics).with_known(&state)
    };
    host.runtime.spawn(source.follow(sender, reporter.clone()));
    let node = options.node_name.clone();
    let nothing_for = Duration::from_secs(options.selects_nothing_after);
    let ground = ground.reporting(reporter.clone(), nothing_for);
    host.serve(reporter, move |inputs| {
        if let Some(daemon) = ground.begin(inputs, state)? {
            check_node(daemon.cluster(), &node);
            daemon.with_keeper(keeper).run(inputs);
        }
        Ok(())
    })
}

/// What an earlier run has left. Without it this node begins as a new one; the tables that are in the kernel stay.
fn last_state(file: &Path) -> Vec<Change> {
    match state::read(file) {
        Ok(Some(state)) => {
            info!(objects = state.len(), file = %file.display(), "the last state is read");
            state
        }
        Ok(None) => Vec::new(),
        Err(error) => {
            error!(%error, file = %file.display(), "the last state is not used; it is written anew once the API server has answered");
            Vec::new()
        }
    }
}

/// A name that is none makes strangers of this node's pods. It may be early, so this is no reason to stop.
fn check_node(cluster: &Cluster, name: &str) {
    match cluster.node(name) {
        None => warn!(
            "the API server has no node called {name}: pods of this host are found by it, so check --node-name"
        ),
        Some(node) if node.pod_cidrs.is_empty() => warn!(
            help = "set it with --pod-interface if it is not cni0",
            "node {name} has no pod range (spec.podCIDRs): it is not guessed, and the pod bridge is found by its pods and CNI's files alone"
        ),
        Some(_) => {}
    }
}

fn no_connection(error: ConnectError) -> Failure {
    let help = match error {
        ConnectError::InCluster(_) => {
            "mount the ServiceAccount's token (automountServiceAccountToken), or give --kubeconfig FILE"
        }
        _ => "give --kubeconfig a file that kubectl can use",
    };
    Failure::usage(error.to_string(), help)
}

fn no_state(fault: Fault) -> Failure {
    let help = fault.help();
    Failure::failed(format!("cannot read the cluster's state: {fault}"), help)
}
