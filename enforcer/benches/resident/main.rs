//! The memory of policyd itself: what it has while it reads a cluster, and what it keeps. On a folder of manifests, of which it holds
//! each object once more, to tell what a file's change takes away; and without: it begins with its last state while no API server
//! answers.
//!
//! `cargo bench -p enforcer --bench resident [-- --small]`; needs root and a minute. `--small` leaves out 100,000 pods and 10,000
//! policies. Lines that begin with `budget:` are what `cargo bench-all` gathers: what, limit, measured, verdict, divided by `|`.

#[path = "../../../compiler/benches/cluster/mod.rs"]
#[expect(dead_code, reason = "it is shared with other benches")]
mod cluster;
mod folder;
#[path = "../node/mod.rs"]
#[expect(dead_code, reason = "it is shared with other benches")]
mod node;

use cluster::{NODE, Size, changes};
use enforcer::state::{self, State};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use node::{budget, in_namespace};
use policy_model::cluster::Cluster;
use std::{
    ffi::OsString,
    fs, io,
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

const SIZES: [Size; 3] = [Size::new(1_000, 100), Size::new(10_000, 1_000), Size::new(100_000, 10_000)];
/// Of the memory that it keeps, at the largest size.
const BUDGET: f64 = 200.0;
/// How long it may take until its first revision.
const PATIENCE: Duration = Duration::from_secs(120);
/// What it keeps is looked at when it has had this long to do what follows a revision.
const SETTLED: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let is_small = std::env::args().any(|argument| argument == "--small");
    println!("policyd, {} local pods, in megabytes", cluster::LOCAL_PODS);
    println!(
        "  {:<11} {:>7} {:>9} {:>14} {:>10} {:>10} {:>14} {:>13}",
        "from",
        "pods",
        "policies",
        "first revision",
        "resident",
        "anonymous",
        "resident, most",
        "KB a pod kept"
    );
    let mut lines = Vec::new();
    for from in [From::Folder, From::State] {
        for size in if is_small { &SIZES[..2] } else { &SIZES } {
            match in_namespace(|| measure(from, size)) {
                Ok(line) => lines.extend(line),
                Err(message) => {
                    eprintln!("error: {message}");
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    println!();
    lines.iter().for_each(|line| println!("{line}"));
    ExitCode::SUCCESS
}

/// Where it has the cluster from.
#[derive(Clone, Copy, Debug)]
enum From {
    /// A folder with a file a namespace.
    Folder,
    /// The state on disk.
    State,
}

impl From {
    const fn name(self) -> &'static str {
        match self {
            Self::Folder => "a folder",
            Self::State => "its state",
        }
    }

    /// Writes the cluster into `within`, and gives the option that makes policyd read it from there.
    fn write(self, within: &Path, size: &Size) -> io::Result<[OsString; 2]> {
        let (option, path) = match self {
            Self::Folder => ("--manifests", within.join("manifests")),
            Self::State => ("--kubeconfig", within.join("kubeconfig")),
        };
        match self {
            Self::Folder => folder::write(&path, size)?,
            Self::State => {
                let cluster: Cluster = changes(size).into_iter().collect();
                let folder = within.join("state");
                fs::create_dir_all(&folder)?;
                state::write(&state::path(&folder), NODE, &State::of(&cluster))?;
                fs::write(&path, NOBODY)?;
            }
        }
        Ok([option.into(), path.into()])
    }
}

/// A kubeconfig for an API server that does not answer.
const NOBODY: &str = "apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: \"http://127.0.0.1:1\"}}]
users: [{name: none, user: {}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
current-context: none
";

/// A policyd that is killed when it is dropped. Its table goes away with the namespace.
struct Policyd(Child);

impl Drop for Policyd {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

fn succeed(program: &str, arguments: &str) -> Result<(), String> {
    let status =
        Command::new(program).args(arguments.split(' ')).stderr(Stdio::null()).stdout(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program} {arguments}: {status}")),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

fn measure(from: From, size: &Size) -> Result<Option<String>, String> {
    let within = tempfile::tempdir().map_err(|error| format!("make a folder: {error}"))?;
    let at = |name: &str| within.path().join(name);
    let source = from.write(within.path(), size).map_err(|error| format!("write the cluster: {error}"))?;
    for line in ["link set lo up", "link add cni0 type bridge", "link set cni0 up"] {
        succeed("ip", line)?;
    }
    let log = fs::File::create(at("log")).map_err(|error| format!("make a log: {error}"))?;
    let begin = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_policyd"))
        .args(["run", "--node-name", NODE])
        .args(source)
        .arg("--cni-dir")
        .arg(at("cni"))
        .arg("--state-dir")
        .arg(at("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    let mut policyd = Policyd(child.map_err(|error| format!("start policyd: {error}"))?);
    while succeed("nft", "list table inet palisade").is_err() {
        let ended = policyd.0.try_wait().map_err(|error| format!("wait for policyd: {error}"))?;
        if ended.is_some() || begin.elapsed() > PATIENCE {
            let said = fs::read_to_string(at("log")).unwrap_or_default();
            return Err(format!("policyd has no table after {:?}: {said}", begin.elapsed()));
        }
        thread::sleep(Duration::from_millis(20));
    }
    let took = begin.elapsed();
    thread::sleep(SETTLED);
    let [resident, anonymous, most] =
        ["VmRSS", "RssAnon", "VmHWM"].map(|field| memory(policyd.0.id(), field));
    println!(
        "  {:<11} {:>7} {:>9} {:>14.1?} {resident:>10.1} {anonymous:>10.1} {most:>14.1} {:>13.2}",
        from.name(),
        size.pods,
        size.policies,
        took,
        anonymous * 1e3 / size.pods as f64
    );
    let what = format!(
        "policyd with {} pods and {} policies from {}: anonymous memory",
        size.pods,
        size.policies,
        from.name()
    );
    let is_largest = size.pods == SIZES[SIZES.len() - 1].pods;
    Ok(is_largest
        .then(|| budget(&what, &format!("{BUDGET} MB"), &format!("{anonymous:.1} MB"), anonymous < BUDGET)))
}

/// A field of `/proc/PID/status`, in megabytes; 0 if it is not there.
fn memory(process: u32, field: &str) -> f64 {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(Path::new(&path)).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or_default() * 1024.0 / 1e6
}
