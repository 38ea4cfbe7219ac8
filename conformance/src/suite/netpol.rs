//! The upstream NetworkPolicy specs (k8s.io/kubernetes/test/e2e/network/netpol).

use super::{Run, Spec, SuiteError};
use crate::cluster::{Cluster, ClusterError, NetpolPrograms};
use serde::Deserialize;
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

/// A line that the specs' program writes.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    specs: usize,
    #[serde(default)]
    name: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    seconds: f64,
    #[serde(default)]
    message: String,
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
    let (specs, log) = (output.join("specs.jsonl"), output.join("output.log"));
    let _ = fs::remove_file(&specs);
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
        .env("PALISADE_SPECS", &specs)
        .stdin(Stdio::null())
        .stdout(same)
        .stderr(file)
        .process_group(0);
    let mut child = command.spawn().map_err(ClusterError::io("ginkgo"))?;
    let (mut expected, mut seen, mut lines) = (0, Vec::<Spec>::new(), 0);
    let status = loop {
        // Asked before the file is read, so that what was written last is read too.
        let ended = child.try_wait().map_err(ClusterError::io("ginkgo"))?;
        let text = fs::read_to_string(&specs).unwrap_or_default();
        for line in text.split_inclusive('\n').skip(lines).filter(|line| line.ends_with('\n')) {
            lines += 1;
            let Ok(line) = serde_json::from_str::<Line>(line) else { continue };
            if line.name.is_empty() {
                expected = line.specs;
                continue;
            }
            let Line { name, state, seconds, message, .. } = line;
            let spec = Spec { name, state, seconds, message };
            say(&spec, expected);
            seen.push(spec);
        }
        match ended {
            Some(status) => break status,
            None => thread::sleep(POLL),
        }
    };
    // Specs that are skipped are not among those expected; one that is told of twice was not run once.
    let begun = seen.iter().filter(|spec| spec.state != "skipped").count();
    if begun == 0 || begun != expected {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let last: Vec<&str> = text.lines().rev().take(20).collect();
        let tail = last.into_iter().rev().collect::<Vec<_>>().join("\n");
        return Err(SuiteError::Ended { status: status.to_string(), seen: begun, expected, tail });
    }
    Ok(Run { options: cluster.options().clone(), specs: seen, took: begin.elapsed() })
}
