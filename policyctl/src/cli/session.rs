//! What a verb works with: the input as it was read, and how to show answers.

use super::{CliError, Exit, Styles, args::Common, error::report};
use crate::{
    endpoint::ResolveError,
    explain::EndsError,
    input::{self, Selection, Snapshot},
    live::{Access, Connection, State},
    style::Style,
};
use policy_model::manifest::nearest;
use std::{
    io::{self, Write},
    sync::Arc,
};

pub(super) struct Session {
    pub(super) snapshot: Snapshot,
    pub(super) style: Style,
    pub(super) common: Common,
    /// The cluster that was read, if no files were.
    pub(super) live: Option<Live>,
    styles: Styles,
}

/// A cluster that was read.
pub(super) struct Live {
    pub(super) connection: Arc<Connection>,
    /// Resource version of its policies.
    pub(super) policies: String,
}

/// How many faults are shown whole.
const SHOWN: usize = 20;

impl Session {
    /// Reads what `-f` names, or the cluster.
    pub(super) fn open(common: Common, styles: Styles) -> Result<Self, CliError> {
        let (snapshot, live) = read_state(&common)?;
        Ok(Self { snapshot, style: styles.out, common, live, styles })
    }

    /// Reads the cluster again, if it was one.
    pub(super) fn read_again(&mut self) -> Result<(), CliError> {
        if let Some(live) = &mut self.live {
            let State { snapshot, policies } = live.connection.state()?;
            (self.snapshot, live.policies) = (snapshot, policies);
        }
        Ok(())
    }

    pub(super) fn namespace(&self) -> Option<&str> {
        self.common.namespace.as_deref()
    }

    /// What is broken, what a reader should know, and with `-v` what was passed over.
    pub(super) fn tell(&self, err: &mut dyn Write) -> io::Result<()> {
        tell(&self.snapshot, &self.common, self.styles.err, err)
    }

    /// The exit code: broken input comes before the answer.
    pub(super) fn exit(&self, answer: Exit) -> Exit {
        if self.snapshot.faults.is_empty() { answer } else { Exit::Usage }
    }

    /// An end that stands for nothing, with what may have been meant.
    pub(super) fn no_end(&self, error: EndsError) -> CliError {
        let meant = match &error {
            EndsError::Resolve(ResolveError::NoPod { key, known }) => {
                let workload = self.snapshot.templates.iter().find(|template| {
                    let name = template.name.split_once('[').map_or(&*template.name, |(name, _)| name);
                    template.namespace == key.namespace && *name == *key.name
                });
                let of_workload = workload.and_then(|template| {
                    let (name, kind) = template.name.strip_suffix(']')?.split_once('[')?;
                    Some(format!("{}/{}/{name}", template.namespace, short_kind(kind)))
                });
                let near = || nearest(&key.name, known.iter().map(|name| &**name));
                let near = near().map(|name| format!("{}/{name}", key.namespace));
                of_workload.or(near).or_else(|| {
                    let mut pods = self.snapshot.cluster.pods();
                    pods.find(|pod| pod.key.name == key.name).map(|pod| pod.key.to_string())
                })
            }
            EndsError::Resolve(ResolveError::NoService { key, known }) => {
                let near = nearest(&key.name, known.iter().map(|name| &**name));
                near.map(|name| format!("{}/svc/{name}", key.namespace))
            }
            EndsError::Resolve(ResolveError::NoNode { name, known }) => {
                nearest(name, known.iter().map(|name| &**name)).map(|name| format!("node/{name}"))
            }
            _ => None,
        };
        CliError::Ends { error, meant }
    }
}

/// What `-f` names; without it, the cluster.
pub(super) fn read_state(common: &Common) -> Result<(Snapshot, Option<Live>), CliError> {
    if !common.files.is_empty() {
        return Ok((input::load(&selection(common, common.files.clone()))?, None));
    }
    let connection = Connection::open(&common.access())?;
    let State { snapshot, policies } = connection.state()?;
    Ok((snapshot, Some(Live { connection: Arc::new(connection), policies })))
}

impl Common {
    /// Which cluster, and as whom.
    pub(super) fn access(&self) -> Access {
        let Self { kubeconfig, context, user, groups, .. } = self.clone();
        Access { kubeconfig, context, user, groups }
    }

    /// Whether a flag says which cluster is meant.
    pub(super) fn names_cluster(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some()
    }
}

pub(super) fn selection(common: &Common, sources: Vec<input::Source>) -> Selection {
    Selection { sources, recursive: common.recursive, namespace: common.namespace.clone() }
}

/// See [`Session::tell`].
pub(super) fn tell(
    snapshot: &Snapshot,
    common: &Common,
    style: Style,
    err: &mut dyn Write,
) -> io::Result<()> {
    for fault in snapshot.faults.iter().take(SHOWN) {
        report(fault, style, err)?;
    }
    let faults = snapshot.faults.len();
    if faults > SHOWN {
        writeln!(err, "and {} more problems", faults - SHOWN)?;
    }
    if faults > 0 {
        let what = if faults == 1 { "problem" } else { "problems" };
        writeln!(err, "{faults} {what}; what is refused is no part of the answer")?;
    }
    tell_notes(snapshot, common, err)
}

/// What a reader should know, and with `-v` what was passed over, without what is broken.
pub(super) fn tell_notes(snapshot: &Snapshot, common: &Common, err: &mut dyn Write) -> io::Result<()> {
    if !common.quiet {
        for warning in &snapshot.warnings {
            writeln!(err, "warning: {warning}")?;
        }
    }
    if common.verbose > 0 {
        let cluster = &snapshot.cluster;
        let pods = cluster.pods().len() - snapshot.templates.len();
        writeln!(
            err,
            "read: {pods} pods, {} workloads without pods, {} namespaces, {} nodes, {} Services, {} policies",
            snapshot.templates.len(),
            cluster.namespaces().len(),
            cluster.nodes().len(),
            cluster.services().len(),
            cluster.policies().len(),
        )?;
        for (kind, count) in &snapshot.skipped {
            writeln!(err, "skipped: {count} × {kind}")?;
        }
    }
    Ok(())
}

fn short_kind(kind: &str) -> &str {
    match kind {
        "Deployment" => "deploy",
        "StatefulSet" => "sts",
        "DaemonSet" => "ds",
        "ReplicaSet" => "rs",
        "Job" => "job",
        "CronJob" => "cronjob",
        "ReplicationController" => "rc",
        other => other,
    }
}
