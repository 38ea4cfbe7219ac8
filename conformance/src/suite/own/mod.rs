//! The suite `own`: what upstream's suites leave out, tried on a real cluster.
//!
//! A [`Case`] has a name and says what it proves. Cases of one group share a cluster and run in their order, since an
//! installation is upgraded before it is taken away. Two kinds of groups there are: what becomes of traffic while something happens to the
//! engine ([`lifecycle`], [`takeover`]: permitted flows of which each lost datagram is known, and a flood of probes that no policy
//! permits), and what policies mean ([`rules`]: each case is asked without its policies too, where everything must pass).

mod case;
mod confined;
mod first_packets;
mod ground;
mod lifecycle;
mod node_state;
mod pods;
mod reboot;
mod rules;
mod takeover;
mod traffic;

use super::{About, Run, Spec, SuiteError};
use crate::cluster::{Cluster, ClusterError, Engine, Families, Options};
use case::Case;
use ground::Ground;
use rules::Scene;
use std::time::{Duration, Instant};

/// The group about what policies mean, as `focus` has it.
pub const RULES: &str = "rules";
/// The groups about Palisade's own life.
const LIFE: [(&str, Engine, &[Case<Ground>]); 2] =
    [("life cycle", Engine::None, lifecycle::CASES), ("takeover", Engine::KubeRouter, takeover::CASES)];

/// What the report says of it.
pub const OWN: About = About {
    suite: "own",
    text: "Two kinds of tests. What policies mean where upstream does not look (name by name below), each with TCP, UDP and echo in both families between pods on one\n\
           node and on two: without its policies everything must pass, under them exactly what they permit, after their deletion everything again. These run on a\n\
           dual-stack cluster with CoreDNS; with kube-router on one of IPv4, as v2.1.0 has no IPv6 rule in force where a policy names pods (`Set KUBE-SRC-… doesn't exist`). And Palisade's own life cycle, under traffic between real pods: UDP flows of 1,000 datagrams a second that the policies permit, a\n\
           new permitted TCP connection every 50 ms, and a flood of forbidden probes. A datagram that is not answered counts as lost, a connection\n\
           whose first packet had to be sent again (`TCPSynRetrans`) as failed, a probe that arrives as passed.",
};

/// Which cases.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Parts of cases' names, or names of groups; all cases where there is none.
    pub focus: Vec<String>,
}

impl Own {
    fn chooses(&self, group: &str, case: &str) -> bool {
        self.focus.is_empty() || self.focus.iter().any(|focus| focus == group || case.contains(focus))
    }
}

/// Runs the cases on clusters of their own, and says each case as it ends. What is about Palisade's own life cycle is skipped with
/// another engine in `options`.
///
/// # Errors
/// A cluster does not start; a failed case is no error.
pub fn own(options: &Options, suite: &Own, say: &mut dyn FnMut(&Spec, usize)) -> Result<Run, SuiteError> {
    let life = LIFE.map(|(group, engine, cases)| (engine, chosen(suite, group, cases)));
    let rules = chosen(suite, RULES, rules::CASES);
    let all = rules.len() + life.iter().map(|(_, cases)| cases.len()).sum::<usize>();
    let mut specs = Vec::new();
    let mut end = |spec: Spec| {
        say(&spec, all);
        specs.push(spec);
    };
    let mut took = Duration::ZERO;
    if !rules.is_empty() {
        // kube-router's rules for IPv6 name ipsets that it has not made, and a sync that fails is given up.
        let families = if options.engine == Engine::KubeRouter { Families::Ipv4 } else { Families::Dual };
        let cluster = Cluster::start(&Options { families, dns: true, ..options.clone() })?;
        let begin = Instant::now();
        let mut scene = Scene::create(cluster).map_err(ClusterError::from)?;
        rules.iter().for_each(|case| end(case.run(&mut scene)));
        took += begin.elapsed();
    }
    for (engine, cases) in life {
        if options.engine != Engine::Palisade {
            let message = "it is about Palisade's own life cycle";
            cases.iter().for_each(|case| end(case.ended("skipped", Duration::ZERO, message.to_owned())));
        } else if !cases.is_empty() {
            let cluster = Cluster::start(&Options { engine, ..options.clone() })?;
            let begin = Instant::now();
            let mut ground = Ground::new(cluster);
            cases.iter().for_each(|case| end(case.run(&mut ground)));
            took += begin.elapsed();
        }
    }
    Ok(Run { options: options.clone(), specs, took })
}

fn chosen<'a, G>(suite: &Own, group: &str, cases: &'a [Case<G>]) -> Vec<&'a Case<G>> {
    cases.iter().filter(|case| suite.chooses(group, case.name)).collect()
}
