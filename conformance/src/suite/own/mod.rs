//! The suite `own`: what upstream's suites leave out, tried on a real cluster.
//!
//! A [`Case`](case::Case) has a name and says what it proves. Cases of one [`Group`] share a cluster and run in their order,
//! since an installation is upgraded before it is taken away. While something happens to the engine, [`traffic`] flows between
//! real pods: permitted flows of which each lost datagram is known, and a flood of probes that no policy permits.

mod case;
mod ground;
mod lifecycle;
mod node_state;
mod pods;
mod takeover;
mod traffic;

use super::{Run, Spec, SuiteError};
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

/// Which cases.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Part of a case's name; all cases where it is empty.
    pub focus: String,
}

/// Each case's name with what it proves, in their order.
pub fn cases() -> impl Iterator<Item = (&'static str, &'static str)> {
    GROUPS.iter().flat_map(|group| group.cases).map(|case| (case.name, case.proves))
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
