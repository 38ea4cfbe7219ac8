//! The end of the demo: everything undone, `policyd` killed and started again, the lab taken down.

use super::{DemoError, checks::Checks, folder::Folder, host::Host, screen::Screen, stage::Stage};
use crate::{enforced::Ground, lab::Node};
use policy_model::{cluster::Cluster, object::ObjectKey};
use std::{collections::BTreeSet, time::Duration};

/// How long a `policyd` may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pods and the folder are again what they were after the policies came, and so are all answers.
pub(super) fn undo(
    stage: &mut Stage,
    company: &Cluster,
    screen: &mut Screen<'_>,
    checks: &mut Checks,
) -> Result<(), DemoError> {
    screen.heading("Everything is undone");
    let running: BTreeSet<ObjectKey> = stage.lab().pods().iter().map(|pod| pod.key().clone()).collect();
    let mut missing = Ground::new(company)?.pods();
    for stranger in running.iter().filter(|key| !missing.iter().any(|pod| pod.key == **key)) {
        stage.lab().delete_pod(stranger)?;
    }
    missing.retain(|pod| !running.contains(&pod.key));
    stage.lab().add_pods(&missing)?;
    let commits = stage.follow(Folder::restore)?;
    super::stage::tell_commits(screen, &commits);
    stage.show_matrix(screen, checks).map(drop)
}

/// The tables can be listed and loaded again; without `policyd` they stay in force; a new one changes nothing in them.
pub(super) fn verify(
    stage: &mut Stage,
    screen: &mut Screen<'_>,
    checks: &mut Checks,
) -> Result<(), DemoError> {
    screen.heading("policyd is killed, and started again");
    stage.settle();
    let listed = stage.lab().nodes().iter().map(list).collect::<Result<Vec<_>, _>>()?;
    for (node, text) in stage.lab().nodes().iter().zip(&listed) {
        let name = format!("node-{}", node.index());
        let ours = text.contains("table inet palisade") && text.contains("table bridge palisade");
        checks.check(ours, || format!("nft lists no table of policyd on {name}"));
        let loaded = node.netns().exec_with(&["nft", "-c", "-f", "-"], text);
        checks.check(loaded.is_ok(), || format!("what nft lists on {name} does not load: {loaded:?}"));
        let lines = text.lines().count();
        screen.detail(None, 4, &format!("{name}: {lines} lines of `nft list ruleset` load with `nft -c -f`"));
    }
    let nodes = 1..=stage.lab().nodes().len();
    let nodes: Vec<u8> = nodes.filter_map(|node| u8::try_from(node).ok()).collect();
    for &node in &nodes {
        stage.enforced.daemon_mut(node).kill();
    }
    screen.detail(None, 4, "without any policyd, every answer is as before:");
    let (_, turned) = stage.look(screen, checks)?;
    checks.check(turned.is_empty(), || format!("probes turned when policyd was killed: {turned:?}"));
    for &node in &nodes {
        let daemon = stage.enforced.daemon_mut(node);
        let mark = daemon.mark();
        daemon.restart()?;
        daemon.wait_until_ready(PATIENCE)?;
        let commits = daemon.commits_since(mark);
        checks.check(commits.is_empty(), || {
            format!("policyd committed when it was started again: {commits:?}")
        });
        screen.detail(None, 4, &format!("node-{node}: started again, {} commits", commits.len()));
    }
    for (node, before) in stage.lab().nodes().iter().zip(&listed) {
        let same = list(node)? == *before;
        checks.check(same, || {
            format!("the ruleset of node-{} is another after a restart of policyd", node.index())
        });
    }
    Ok(())
}

/// The whole ruleset of a node, without what its counters have counted.
fn list(node: &Node) -> Result<String, DemoError> {
    Ok(node.netns().exec(&["nft", "-s", "list", "ruleset"])?)
}

/// Takes everything down, and compares the machine with what it was before.
pub(super) fn take_down(
    stage: Stage,
    host: &Host,
    screen: &mut Screen<'_>,
    checks: &mut Checks,
) -> Result<(), DemoError> {
    screen.heading("The end");
    let (id, processes) = (stage.lab().id().to_owned(), stage.processes());
    screen.phase("the lab is taken down", 1, |_| {
        drop(stage);
        Ok(())
    })?;
    let failed = checks.failures.len();
    host.check(&id, &processes, checks)?;
    if checks.failures.len() == failed {
        screen.line("ok    the machine is as it was: namespaces, processes, links, nftables, sysctls");
    }
    Ok(())
}
