//! The suite `own`: what upstream's suites leave out, tried on a real cluster.
//!
//! A [`Case`] has a name and says what it proves. Cases of one [`Group`] share a cluster and run in their order,
//! since an installation is upgraded before it is taken away. While something happens to the engine, [`traffic`] flows between
//! real pods: permitted flows of which each lost datagram is known, and a flood of probes that no policy permits.

mod case;
mod ground;
mod lifecycle;
mod node_state;
mod pods;
mod reboot;
mod takeover;
mod traffic;

use super::{About, Run, Spec, SuiteError};
use crate::cluster::{Cluster, Engine, Options};
use case::Case;
use ground::Ground;
use std::time::{Duration, Instant};

/// Cases that share a cluster.
struct Group {
    /// Who enforces in it when it has booted.
    engine: Engine,
    /// In their order.
    cases: &'static [Case],
}

/// What there is.
const GROUPS: [Group; 2] = [
    Group { engine: Engine::None, cases: lifecycle::CASES },
    Group { engine: Engine::KubeRouter, cases: takeover::CASES },
];

/// What the report says of it.
pub const OWN: About = About {
    suite: "own",
    text: "Palisade's own life cycle on a real cluster, under traffic between real pods: UDP flows of 1,000 datagrams a second that the policies permit, a\n\
           new permitted TCP connection every 50 ms, and a flood of forbidden probes. A datagram that is not answered counts as lost, a connection that\n\
           does not come about within 0.9 s as failed (its first packet would be sent again after a second), a probe that arrives as passed.",
};

/// Which cases.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Part of a case's name; all cases where it is empty.
    pub focus: String,
}

/// Runs the cases on clusters of their own, two workers each, and says each case as it ends. All of them are about Palisade: with
/// another engine in `options` they are skipped.
///
/// # Errors
/// A cluster does not start; a failed case is no error.
pub fn own(options: &Options, suite: &Own, say: &mut dyn FnMut(&Spec, usize)) -> Result<Run, SuiteError> {
    let chosen = |case: &&Case| case.name.contains(&suite.focus);
    let all = GROUPS.iter().flat_map(|group| group.cases).filter(chosen).count();
    let (mut specs, mut took) = (Vec::new(), Duration::ZERO);
    let mut end = |spec: Spec| {
        say(&spec, all);
        specs.push(spec);
    };
    for group in &GROUPS {
        let mut cases = group.cases.iter().filter(chosen).peekable();
        if cases.peek().is_none() {
            continue;
        }
        if options.engine != Engine::Palisade {
            let message = "it is about Palisade's own life cycle";
            cases.for_each(|case| end(case.ended("skipped", Duration::ZERO, message.to_owned())));
            continue;
        }
        let cluster = Cluster::start(&Options { engine: group.engine, ..options.clone() })?;
        let begin = Instant::now();
        let mut ground = Ground::new(cluster);
        for case in cases {
            end(case.run(&mut ground));
        }
        took += begin.elapsed();
    }
    Ok(Run { options: options.clone(), specs, took })
}
