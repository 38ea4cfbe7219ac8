//! The upstream NetworkPolicy specs (k8s.io/kubernetes/test/e2e/network/netpol).

use super::{About, Run, Spec, SuiteError, ginkgo};
use crate::{
    cluster::{Cluster, ClusterError, NetpolPrograms},
    log_tail::last_lines,
};
use socket2::{Domain, Protocol, Socket, Type};
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
/// The specs that open SCTP sockets.
const SCTP: &str = "SCTPConnectivity";
const NO_SCTP: &str = "it opens SCTP sockets, and this kernel has none (CONFIG_IP_SCTP)";
/// IPPROTO_SCTP.
const SCTP_PROTOCOL: i32 = 132;
const POLL: Duration = Duration::from_millis(200);
const REPORT: &str = "report.json";

const GO_MOD: &str = include_str!("../../cluster/kubernetes/go.mod");

/// What the document says of it.
pub const NETPOL: About = About {
    suite: "netpol",
    text: "The upstream e2e specs `test/e2e/network/netpol` of Kubernetes, four at once. They probe the first family of a pod's addresses alone:\n\
           IPv4 in dual stack.",
};

/// Which specs.
#[derive(Clone, Debug)]
pub struct Netpol {
    /// A regular expression that the names of specs must match.
    pub focus: String,
}

impl Netpol {
    /// Of Kubernetes, such as `v1.37.2`.
    #[must_use]
    pub fn version() -> &'static str {
        super::required(GO_MOD, "k8s.io/kubernetes")
    }
}

/// Runs the specs on a cluster and says each one as it ends. Output, JUnit and JSON report are in the folder `output` afterwards.
/// Specs that open SCTP sockets are skipped on a kernel that has none.
///
/// # Errors
/// [`SuiteError::Ended`] if specs are missing; a failed spec is no error.
pub fn netpol(
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
    let protocol = Some(Protocol::from(SCTP_PROTOCOL));
    let has_sctp = Socket::new(Domain::IPV4, Type::STREAM, protocol).is_ok();
    let begin = Instant::now();
    let mut command = cluster.control_plane().command(&programs.ginkgo.to_string_lossy());
    command.args(["run", PROCESSES, &format!("--focus={}", suite.focus)]);
    if !has_sctp {
        command.arg(format!("--skip={SCTP}"));
    }
    command
        .args(["--no-color", "-v", "--timeout=60m", "--junit-report=junit.xml"])
        .arg(format!("--json-report={REPORT}"))
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
    let report = output.join(REPORT);
    // An earlier run's is not this one's.
    let _ = fs::remove_file(&report);
    let mut child = command.spawn().map_err(ClusterError::io("ginkgo"))?;
    let (mut size, mut told) = (0, 0);
    let (status, expected, seen) = loop {
        // Asked before the file is read, so that what was written last is read too.
        let ended = child.try_wait().map_err(ClusterError::io("ginkgo"))?;
        let now = fs::metadata(&log).map_err(error(&log))?.len();
        if ended.is_none() && now == size {
            thread::sleep(POLL);
            continue;
        }
        size = now;
        let (expected, specs) = ginkgo::progress(&fs::read_to_string(&log).unwrap_or_default());
        specs.iter().skip(told).for_each(|spec| say(spec, expected));
        told = specs.len();
        if let Some(status) = ended {
            break (status, expected, told);
        }
    };
    let took = begin.elapsed();
    let left_out = |name: &str| (!has_sctp && name.contains(SCTP)).then_some(NO_SCTP);
    let json = fs::read(&report).unwrap_or_default();
    let specs = ginkgo::report(&json, left_out).unwrap_or_default();
    let ran = specs.iter().filter(|spec| !spec.skipped()).count();
    if seen == 0 || seen != expected || ran > expected || specs.is_empty() {
        let tail = last_lines(&fs::read_to_string(&log).unwrap_or_default(), 20);
        return Err(SuiteError::Ended { status: status.to_string(), seen, expected, tail });
    }
    Ok(Run { options: cluster.options().clone(), specs, took })
}
