//! The company while it runs: the lab, its `policyd`s, their folder, and what the network last answered.

use super::{
    DemoError,
    checks::Checks,
    folder::{Edit, Folder},
    matrix::{Answers, Matrix, Turned},
    parties,
    screen::Screen,
    table,
};
use crate::{
    enforced::{self, Commit, Enforced, Ground, Kernel, Policyd},
    lab::{Lab, ownership},
    scenario::{self, Scenario},
};
use policy_model::cluster::Cluster;
use policyctl::{assertions, style::Tone};
use std::{
    collections::BTreeSet,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// After this long without a change a node has removed what it no longer uses, and commits nothing by itself.
const SETTLED: Duration = Duration::from_millis(1300);
/// Lines of one node's Delta, and turned probes, that are shown.
const SHOWN: usize = 5;

/// See the module.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) enforced: Enforced,
    pub(super) folder: Folder,
    pub(super) cluster: Cluster,
    answers: Answers,
    changed: Instant,
}

impl Stage {
    /// Raises the company with a `policyd` a node, on a folder with all of its manifests but the policies.
    pub(super) fn raise(company: &Path, screen: &mut Screen<'_>) -> Result<(Self, Scenario), DemoError> {
        let scenario = scenario::load(company)?;
        let cluster = &scenario.cluster;
        let ground = Ground::new(cluster)?;
        let (pods, services) = (ground.pods(), ground.services());
        let nodes = ground.nodes();
        let what = format!(
            "the lab is up: {nodes} nodes, {} pods, {} Services, a host outside, a policyd a node",
            pods.len(),
            services.len()
        );
        let stage = screen.phase(&what, usize::from(nodes) * 2 + pods.len() + services.len(), |steps| {
            let lab = Lab::builder("demo").nodes(nodes).ports(&ports(&scenario)).build()?;
            steps.done(usize::from(nodes));
            for node in 1..=nodes {
                let own: Vec<_> = pods.iter().filter(|pod| pod.node == node).cloned().collect();
                lab.add_pods(&own)?;
                steps.done(own.len());
            }
            lab.set_services(&services)?;
            ground.add_outside_addresses(&lab, &enforced::probes(&scenario.assertions))?;
            steps.done(services.len());
            let root = Path::new(ownership::STATE_DIR).join(lab.id()).join("manifests");
            let folder = Folder::new(&company.join("manifests"), root)?;
            let enforced = Enforced::start_in(lab, folder.root().to_owned(), &[])?;
            steps.done(usize::from(nodes));
            let cluster = scenario::load_cluster(folder.root())?;
            Ok(Self { enforced, folder, cluster, answers: Answers::default(), changed: Instant::now() })
        })?;
        Ok((stage, scenario))
    }

    /// The lab.
    pub(super) fn lab(&self) -> &Lab {
        self.enforced.lab()
    }

    /// Lets the folder be changed and waits until every node has followed; the lab's Services follow too. Nodes have
    /// tidied up after the last change by then, so that the commits are about this one.
    pub(super) fn follow(
        &mut self,
        edit: impl FnOnce(&Folder) -> Result<(), DemoError>,
    ) -> Result<Vec<Vec<Commit>>, DemoError> {
        self.settle();
        let mut edited = Ok(());
        let commits = self.enforced.change(|_| {
            edited = edit(&self.folder);
            Ok(())
        });
        edited?;
        let commits = commits?;
        self.changed = Instant::now();
        self.cluster = scenario::load_cluster(self.folder.root())?;
        let services = Ground::new(&self.cluster)?.services();
        self.enforced.lab().set_services(&services)?;
        Ok(commits)
    }

    /// Tells what is about to change in files, changes them, and tells what the nodes committed.
    pub(super) fn edit(
        &mut self,
        screen: &mut Screen<'_>,
        edits: &[Edit],
    ) -> Result<Vec<Vec<Commit>>, DemoError> {
        let mut commits = Vec::new();
        for &edit in edits {
            let planned = self.folder.plan(edit)?;
            screen.detail(None, 4, &planned.place);
            for (sign, line) in &planned.diff {
                let tone = if *sign == '+' { Tone::Good } else { Tone::Bad };
                screen.detail(Some(tone), 6, &format!("{sign} {line}"));
            }
            let new = self.follow(|folder| Ok(folder.make(&planned)?))?;
            tell_commits(screen, &new);
            commits.extend(new);
        }
        Ok(commits)
    }

    /// Asks the whole network again, and compares each answer with the model's.
    pub(super) fn look(
        &mut self,
        screen: &mut Screen<'_>,
        checks: &mut Checks,
    ) -> Result<(Matrix, Vec<Turned>), DemoError> {
        let matrix = Matrix::of(&self.cluster, &Ground::new(&self.cluster)?);
        let (count, failed) = (matrix.questions.len(), checks.failures.len());
        let what = format!("{count} probes of {} cells, each compared with the model", matrix.cells());
        let answers =
            screen.phase(&what, count, |steps| Ok(matrix.ask(self.enforced.lab(), steps, checks)?))?;
        let different = checks.failures.len() - failed;
        if different > 0 {
            screen.detail(Some(Tone::Bad), 6, &format!("{different} are not as the model says"));
        }
        let turned = matrix.turned(&self.answers, &answers);
        self.answers = answers;
        Ok((matrix, turned))
    }

    /// The same, and shows the table.
    pub(super) fn show_matrix(
        &mut self,
        screen: &mut Screen<'_>,
        checks: &mut Checks,
    ) -> Result<Vec<Turned>, DemoError> {
        let (matrix, turned) = self.look(screen, checks)?;
        table::show(screen, &matrix, &self.answers);
        Ok(turned)
    }

    /// The same, and tells which probes have turned. Some must have, if a story was about a change.
    pub(super) fn show_turned(
        &mut self,
        screen: &mut Screen<'_>,
        checks: &mut Checks,
    ) -> Result<(), DemoError> {
        let (_, turned) = self.look(screen, checks)?;
        checks.check(!turned.is_empty(), || "a change of policy turned no probe".to_owned());
        tell_turned(screen, &turned);
        Ok(())
    }

    /// Asks the company's own expectations of the kernels.
    pub(super) fn expectations(
        &self,
        scenario: &Scenario,
        screen: &mut Screen<'_>,
        checks: &mut Checks,
    ) -> Result<(), DemoError> {
        let probes: Vec<assertions::Probe> = enforced::probes(&scenario.assertions);
        let ground = Ground::new(&scenario.cluster)?;
        let what = format!("{} expectations of tests.yaml, in the kernels", scenario.assertions.len());
        let mut kernel = screen.phase(&what, 1, |_| Ok(Kernel::ask(self.lab(), &ground, &probes)?))?;
        let finding = scenario::check(scenario, &mut kernel);
        let failed = finding.failures.len();
        checks.passed += scenario.assertions.len() - failed;
        checks.failures.extend(finding.failures);
        checks.check(finding.asked > 0, || "no expectation could be asked of a kernel".to_owned());
        Ok(())
    }

    /// Waits until no node has anything left to tidy up.
    pub(super) fn settle(&self) {
        thread::sleep(SETTLED.saturating_sub(self.changed.elapsed()));
    }

    /// The daemons' process ids.
    pub(super) fn processes(&self) -> Vec<u32> {
        self.enforced.daemons().iter().map(Policyd::pid).collect()
    }
}

/// Where every host of the lab answers.
fn ports(scenario: &Scenario) -> Vec<u16> {
    let asked = enforced::probes(&scenario.assertions).into_iter().filter_map(|probe| probe.flow.port);
    let ports: BTreeSet<u16> = asked.chain(parties::ports(&scenario.cluster)).collect();
    ports.into_iter().collect()
}

/// Each node's transactions, with the first lines of each in nft's words.
pub(super) fn tell_commits(screen: &mut Screen<'_>, commits: &[Vec<Commit>]) {
    for (index, commits) in commits.iter().enumerate() {
        let node = index + 1;
        if commits.is_empty() {
            screen.detail(None, 4, &format!("node-{node}: nothing to commit"));
        }
        let mut room = SHOWN;
        for commit in commits {
            let took = short(&commit.took);
            let text = format!(
                "node-{node}: revision {}, {} operations in {took}",
                commit.revision, commit.operations
            );
            screen.detail(None, 4, &text);
            for line in commit.lines().iter().take(room) {
                screen.detail(Some(Tone::Faint), 6, &line.replace('\t', "  "));
            }
            room = room.saturating_sub(commit.lines().len());
        }
    }
}

fn tell_turned(screen: &mut Screen<'_>, turned: &[Turned]) {
    let word = |allowed: bool| if allowed { "allowed" } else { "denied" };
    for t in turned.iter().take(SHOWN) {
        let tone = if t.now { Tone::Good } else { Tone::Bad };
        let now = screen.paint(tone, word(t.now));
        let probes = if t.probes == 1 { "" } else { ", IPv4 and IPv6" };
        screen.line(format_args!("      {} → {}: {} → {now}{probes}", t.from, t.to, word(!t.now)));
    }
    let probes: usize = turned.iter().map(|t| t.probes).sum();
    let more = turned.len().saturating_sub(SHOWN);
    let more = if more == 0 { String::new() } else { format!("and {more} more; ") };
    screen.detail(None, 6, &format!("{more}{probes} probes turned in all, the others answer as before"));
}

/// `312.4µs` and `1.234567ms` as a person reads them.
fn short(took: &str) -> String {
    let at = took.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(took.len());
    let (number, unit) = took.split_at(at);
    number.parse::<f64>().map_or_else(|_| took.to_owned(), |number| format!("{number:.1} {unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_one_decimal() {
        assert_eq!(["312.4µs", "1.234567ms", "2s", "?"].map(short), ["312.4 µs", "1.2 ms", "2.0 s", "?"]);
    }
}
