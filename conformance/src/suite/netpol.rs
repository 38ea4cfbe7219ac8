//! The upstream NetworkPolicy specs (k8s.io/kubernetes/test/e2e/network/netpol).

use super::{Run, Spec, SuiteError};
use crate::{
    cluster::{Cluster, ClusterError, NetpolPrograms},
    log_tail::last_lines,
};
use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

/// Specs that run at once: most of their time is waiting for probes that are denied.
const PROCESSES: &str = "--procs=4";
/// The specs that open SCTP sockets. Kernels without CONFIG_IP_SCTP have none.
const SCTP: &str = "SCTPConnectivity";
const POLL: Duration = Duration::from_millis(200);

/// Which specs.
#[derive(Clone, Debug)]
pub struct Netpol {
    /// A regular expression that the names of specs must match.
    pub focus: String,
}

/// Reads Ginkgo's verbose output: how many specs it will run, and those that have ended. Such a one begins with
/// `• [13.021 seconds]` or `• [FAILED] [48.310 seconds]`; its name is on the next line.
fn read(text: &str) -> (usize, Vec<Spec>) {
    let announced =
        text.lines().find_map(|line| line.strip_prefix("Will run ")?.split(' ').next()?.parse().ok());
    let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).peekable();
    let mut specs = Vec::new();
    while let Some(line) = lines.next() {
        let Some(words) = line.strip_prefix("• [").and_then(|rest| rest.strip_suffix(']')) else {
            continue;
        };
        let (state, time) = words.split_once("] [").unwrap_or(("passed", words));
        let Some(seconds) = time.strip_suffix(" seconds").and_then(|time| time.parse().ok()) else {
            continue;
        };
        // Not there yet.
        let Some(name) = lines.peek() else { break };
        let message = if state == "passed" { String::new() } else { "see the suite's output".to_owned() };
        specs.push(Spec { name: (*name).to_owned(), state: state.to_lowercase(), seconds, message });
    }
    (announced.unwrap_or(0), specs)
}

/// Runs the specs on a cluster and says each one as it ends. Output and JUnit report are in the folder `output` afterwards.
///
/// # Errors
/// [`SuiteError::Ended`] if specs are missing; a failed spec is no error.
pub fn run(
    cluster: &Cluster,
    suite: &Netpol,
    output: &Path,
    say: &mut dyn FnMut(&Spec, usize),
) -> Result<Run, SuiteError> {
    let programs = NetpolPrograms::ensure()?;
    let error = |path: &Path| ClusterError::io(path.display().to_string());
    fs::create_dir_all(output).map_err(error(output))?;
    let log = output.join("output.log");
    let file = File::create(&log).map_err(error(&log))?;
    let same = file.try_clone().map_err(error(&log))?;
    let begin = Instant::now();
    let mut command = cluster.control_plane().command(&programs.ginkgo.to_string_lossy());
    command
        .args(["run", PROCESSES, &format!("--focus={}", suite.focus), &format!("--skip={SCTP}")])
        .args(["--no-color", "-v", "--timeout=60m", "--junit-report=junit.xml"])
        .arg(format!("--output-dir={}", output.display()))
        .arg(&programs.specs)
        .args(["--", "--provider=skeleton", "--node-os-distro=custom", "--disable-log-dump"])
        .arg(format!("--kubeconfig={}", cluster.kubeconfig().display()))
        .arg(format!("--kubectl-path={}", cluster.program("kubectl").display()))
        .arg(format!("--num-nodes={}", cluster.nodes().len()))
        .stdin(Stdio::null())
        .stdout(same)
        .stderr(file)
        .process_group(0);
    let mut child = command.spawn().map_err(ClusterError::io("ginkgo"))?;
    let (mut size, mut told) = (0, 0);
    let (status, expected, specs) = loop {
        // Asked before the file is read, so that what was written last is read too.
        let ended = child.try_wait().map_err(ClusterError::io("ginkgo"))?;
        let now = fs::metadata(&log).map_err(error(&log))?.len();
        if ended.is_none() && now == size {
            thread::sleep(POLL);
            continue;
        }
        size = now;
        let (expected, specs) = read(&fs::read_to_string(&log).unwrap_or_default());
        specs.iter().skip(told).for_each(|spec| say(spec, expected));
        told = specs.len();
        if let Some(status) = ended {
            break (status, expected, specs);
        }
    };
    if specs.is_empty() || specs.len() != expected {
        let tail = last_lines(&fs::read_to_string(&log).unwrap_or_default(), 20);
        return Err(SuiteError::Ended { status: status.to_string(), seen: specs.len(), expected, tail });
    }
    Ok(Run { options: cluster.options().clone(), specs, took: begin.elapsed() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_specs_are_read_with_their_state_and_a_half_written_line_is_not() {
        let text = "Will run 3 of 51 specs\n• [13.021 seconds]\na b\n/x.go:1\n• [FAILED] [48.310 seconds]\nc\n• [2.0 seconds]\nhal";
        let (announced, specs) = read(text);
        let found: Vec<_> = specs.iter().map(|spec| (&*spec.name, &*spec.state, spec.failed())).collect();
        assert_eq!(announced, 3);
        assert_eq!(found, [("a b", "passed", false), ("c", "failed", true)]);
    }
}
