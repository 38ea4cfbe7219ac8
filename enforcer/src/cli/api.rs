//! `policyd run` on an API server.

use super::{
    Failure, RunOptions, dry_run,
    host::Host,
    run::{cannot, once},
};
use crate::source::kube::{ConnectError, Connection, Credentials, Fault, Source};
use policy_model::cluster::Change;
use tokio::runtime::Builder;
use tracing::warn;

pub(super) fn run(options: &RunOptions, credentials: Credentials) -> Result<(), Failure> {
    if !options.dry_run && !options.once {
        return follow(options, credentials);
    }
    let (changes, problems) = read(credentials)?;
    check_node(&changes, &options.node_name);
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
        let mut source = Source::start(Connection::open(credentials).await.map_err(no_connection)?);
        let changes = source.first().await.map_err(no_state)?;
        Ok((changes, source.problems()))
    })
}

fn follow(options: &RunOptions, credentials: Credentials) -> Result<(), Failure> {
    let (host, ground) = Host::prepare(options)?;
    let connection = host.runtime.block_on(Connection::open(credentials)).map_err(no_connection)?;
    let (sender, metrics) = (host.sender.clone(), host.metrics.clone());
    host.runtime.spawn(async move { Source::start(connection).follow(sender, metrics).await });
    let node = options.node_name.clone();
    host.serve(move |inputs| {
        if let Some((ground, changes)) = ground.first(inputs) {
            check_node(&changes, &node);
            ground.daemon(changes)?.run(inputs);
        }
        Ok(())
    })
}

/// A name that is none makes strangers of this node's pods. It may be early, so this is no reason to stop.
fn check_node(changes: &[Change], name: &str) {
    if !changes.iter().any(|change| matches!(change, Change::Node(node) if *node.name == *name)) {
        warn!(
            "the API server has no node called {name}: pods of this host are found by it, so check --node-name"
        );
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
