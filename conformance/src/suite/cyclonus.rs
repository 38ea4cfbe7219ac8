//! The cases of cyclonus (github.com/mattfenwick/cyclonus): generated policies, and all pairs of nine pods probed after each.

mod world;

use self::world::World;
use super::{About, Run, Spec, SuiteError};
use crate::{
    cluster::{Cluster, ClusterError, CyclonusPrograms},
    lab::LabError,
    log_tail::last_lines,
};
use serde::Deserialize;
use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Instant,
};

const GO_MOD: &str = include_str!("../../cluster/cyclonus/go.mod");
/// What cyclonus calls the cases that send SCTP.
const SCTP: &str = "sctp";
const NO_SCTP: &str = "its pods serve SCTP, and this kernel has no SCTP sockets (CONFIG_IP_SCTP); testdata/scenarios/cyclonus-sctp asks the same of model, simulator and kernel, with packets made by hand";
/// How often a case is begun that does not come to an end.
const ATTEMPTS: u8 = 3;

/// What the document says of it.
pub const CYCLONUS: About = About {
    suite: "cyclonus",
    text: "The cases of cyclonus, each with all connections between nine pods in three namespaces, on two ports with TCP and UDP, after each change;\n\
           a test passes if cyclonus' own table of differences is empty (with its `--ignore-loopback`: no policy keeps a pod from itself). Several worlds of three namespaces stand side by side. Changed\n\
           (`conformance/cluster/cyclonus`): connections are made by one process in each pod, as `agnhost connect` makes them; after a change 1 s is\n\
           waited in place of 5 s, and what differs is probed up to three times more; what meets an update of the kubelet's is done again.",
};

/// Which cases, and how many at once.
#[derive(Clone, Debug)]
pub struct Cyclonus {
    /// Their numbers, from 1, in cyclonus' own order; all if there are none.
    pub cases: Vec<u16>,
    /// Worlds that stand side by side, with nine pods of four containers each.
    pub worlds: u8,
}

impl Cyclonus {
    /// A few of each kind, for who has five minutes: targets, rules, peers by pods, namespaces and addresses, ports by number, name and range, actions,
    /// conflicts, upstream's own.
    pub const CHOSEN: [u16; 30] = [
        3, 6, 7, 9, 14, 20, 22, 30, 32, 44, 77, 122, 129, 133, 138, 144, 149, 151, 157, 167, 172, 185, 192,
        195, 196, 197, 198, 199, 206, 217,
    ];

    /// Such as `v0.5.6`.
    #[must_use]
    pub fn version() -> &'static str {
        super::required(GO_MOD, "github.com/mattfenwick/cyclonus")
    }
}

/// A case, as it is listed and as it is answered.
#[derive(Debug, Deserialize)]
struct Case {
    #[serde(rename = "case")]
    number: u16,
    name: String,
    #[serde(default)]
    tags: Vec<String>,
    passed: bool,
    seconds: f64,
    #[serde(default)]
    message: String,
}

impl Case {
    fn title(&self) -> String {
        format!("{:03} {}", self.number, self.name)
    }

    fn spec(&self, state: &str, message: &str) -> Spec {
        Spec {
            name: self.title(),
            state: state.to_owned(),
            seconds: self.seconds,
            message: message.trim_end().to_owned(),
        }
    }
}

/// Runs cases on a cluster and says each one as it ends. What cyclonus prints is in the folder `output` afterwards.
/// Cases that send SCTP are skipped.
///
/// # Errors
/// [`SuiteError::NoCase`]; a world cannot be made. A failed case is no error.
pub fn cyclonus(
    cluster: &Cluster,
    suite: &Cyclonus,
    output: &Path,
    say: &mut dyn FnMut(&Spec, usize),
) -> Result<Run, SuiteError> {
    let programs = CyclonusPrograms::ensure(Cyclonus::version())?;
    fs::create_dir_all(output).map_err(ClusterError::io(output.display().to_string()))?;
    cluster.import(&programs.image.path)?;
    let cases = choose(list(&programs.cases)?, &suite.cases)?;
    let (left_out, cases): (Vec<_>, Vec<_>) =
        cases.into_iter().partition(|case| case.tags.iter().any(|tag| tag == SCTP));
    let mut specs: Vec<_> = left_out.iter().map(|case| case.spec("skipped", NO_SCTP)).collect();
    let all = cases.len();
    let begin = Instant::now();
    let queue = Mutex::new(cases.into_iter().map(|case| (case, 0)).collect::<VecDeque<_>>());
    let (send, receive) = mpsc::channel();
    thread::scope(|scope| {
        for number in 1..=suite.worlds {
            let (programs, queue, send) = (&programs, &queue, send.clone());
            scope.spawn(move || work(cluster, programs, output, number, queue, &send));
        }
        drop(send);
        for spec in receive {
            say(&spec, all);
            specs.push(spec);
        }
    });
    Ok(Run { options: cluster.options().clone(), specs, took: begin.elapsed() })
}

type Queue = Mutex<VecDeque<(Case, u8)>>;

/// One world after the other takes cases until none is left. A world that ends by itself says nothing about its case: another begins it again.
fn work(
    cluster: &Cluster,
    programs: &CyclonusPrograms,
    output: &Path,
    number: u8,
    queue: &Queue,
    send: &mpsc::Sender<Spec>,
) {
    let mut world: Option<World> = None;
    let mut worlds = 0;
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((case, attempts)) = next else { break };
        let answer = match world.take() {
            Some(world) => Ok(world),
            None => {
                worlds += 1;
                World::start(cluster, programs, output, &format!("w{number}-{worlds}"))
            }
        };
        let answer = answer.and_then(|mut it| {
            let answer = it.ask(case.number);
            // One that has not answered goes, with its pods.
            world = answer.is_ok().then_some(it);
            answer
        });
        let spec = match answer {
            Ok(answer) if answer.passed => answer.spec("passed", ""),
            Ok(answer) => answer.spec("failed", &answer.message),
            Err(_) if attempts + 1 < ATTEMPTS => {
                queue.lock().unwrap_or_else(PoisonError::into_inner).push_back((case, attempts + 1));
                continue;
            }
            Err(error) => case.spec("aborted", &format!("begun {ATTEMPTS} times: {error}")),
        };
        // Nobody listens if the suite was ended.
        if send.send(spec).is_err() {
            break;
        }
    }
}

fn list(program: &Path) -> Result<Vec<Case>, SuiteError> {
    let output = Command::new(program).arg("--list").output();
    let output = output.map_err(ClusterError::io(program.display().to_string()))?;
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let cases: Result<Vec<Case>, _> = lines.lines().map(serde_json::from_str).collect();
    match cases {
        Ok(cases) if !cases.is_empty() => Ok(cases),
        _ => {
            let tail = last_lines(&String::from_utf8_lossy(&output.stderr), 20);
            Err(SuiteError::Ended { status: output.status.to_string(), seen: 0, expected: 0, tail })
        }
    }
}

fn choose(mut all: Vec<Case>, wanted: &[u16]) -> Result<Vec<Case>, SuiteError> {
    let count = all.len();
    if let Some(&missing) = wanted.iter().find(|&&number| !(1..=count).contains(&usize::from(number))) {
        return Err(SuiteError::NoCase(missing, count));
    }
    if !wanted.is_empty() {
        all.retain(|case| wanted.contains(&case.number));
    }
    Ok(all)
}

/// The log of a world, for an error.
fn tail_of(log: &PathBuf) -> LabError {
    let message = last_lines(&fs::read_to_string(log).unwrap_or_default(), 6);
    LabError::Command { command: format!("cyclonus (all it says is in {})", log.display()), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(number: u16) -> Case {
        Case {
            number,
            name: "deny".to_owned(),
            tags: Vec::new(),
            passed: false,
            seconds: 0.0,
            message: String::new(),
        }
    }

    #[test]
    fn chosen_cases_are_found_by_their_numbers_and_one_that_is_not_there_is_named() {
        let chosen = choose(vec![case(1), case(2), case(3)], &[3, 1]).unwrap();
        assert_eq!(chosen.iter().map(Case::title).collect::<Vec<_>>(), ["001 deny", "003 deny"]);
        let error = choose(vec![case(1), case(2)], &[1, 3]).unwrap_err();
        assert_eq!(error.to_string(), "cyclonus has no case 3: they are 1 to 2");
    }
}
