//! One node's `policyd`: the real program in the node's network namespace.

use crate::{
    lab::{LabError, Netns, Node},
    log_tail::last_lines,
    preload::{PreloadError, Preloaded},
};
use serde::Deserialize;
use std::{
    env, fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Where it serves health, metrics and answers, inside its namespace.
const HTTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9469);
/// How often a question is repeated while waiting.
const POLL: Duration = Duration::from_millis(5);

/// Why a `policyd` does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum PolicydError {
    /// The program has not been built.
    #[error("policyd is not at {}: run `cargo build --release -p enforcer`, or set PALISADE_POLICYD", .0.display())]
    NotBuilt(PathBuf),
    /// The lab.
    #[error(transparent)]
    Lab(Box<LabError>),
    /// What is preloaded into it.
    #[error(transparent)]
    Preload(#[from] PreloadError),
    /// A file, a process or a connection.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system says.
        source: io::Error,
    },
    /// It has ended by itself.
    #[error("policyd on node {node} has ended: {log}")]
    Ended {
        /// Which node, counted from 1.
        node: u8,
        /// Its last log lines.
        log: String,
    },
    /// It takes too long.
    #[error("policyd on node {node} was not {state} within {within:?}: {log}")]
    TooLate {
        /// Which node, counted from 1.
        node: u8,
        /// What it should have been.
        state: &'static str,
        /// How long it had.
        within: Duration,
        /// Its last log lines.
        log: String,
    },
}

pub(super) fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> PolicydError {
    let what = what.into();
    |source| PolicydError::Io { what, source }
}

/// Where `policyd` is: `PALISADE_POLICYD`, or beside the running program's build, the release build first.
///
/// # Errors
/// [`PolicydError::NotBuilt`].
pub fn binary() -> Result<PathBuf, PolicydError> {
    if let Some(path) = env::var_os("PALISADE_POLICYD") {
        let path = PathBuf::from(path);
        return if path.is_file() { Ok(path) } else { Err(PolicydError::NotBuilt(path)) };
    }
    let here = env::current_exe().map_err(io_error("the path of this program"))?;
    let target = here.ancestors().find(|folder| folder.ends_with("target"));
    let target = target.map_or_else(|| PathBuf::from("target"), Path::to_owned);
    let candidates = ["release", "debug"].map(|profile| target.join(profile).join("policyd"));
    let [release, _] = &candidates;
    candidates
        .iter()
        .find(|path| path.is_file())
        .cloned()
        .ok_or_else(|| PolicydError::NotBuilt(release.clone()))
}

/// Where a `policyd` has its objects from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A folder of manifests.
    Folder(&'a Path),
    /// The API server of a kubeconfig.
    ApiServer(&'a Path),
}

/// A transaction that the kernel took, as `policyd` logs it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Commit {
    /// The revision that it made.
    pub revision: u64,
    /// Changes of objects in it.
    pub operations: usize,
    /// From the first byte sent to the last acknowledgement, as Rust prints a duration: `312.4µs`.
    pub took: String,
    /// Its first lines in nft's words, as a debug-printed list.
    #[serde(default)]
    pub lines: String,
}

impl Commit {
    /// The lines one by one.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        serde_json::from_str(&self.lines).unwrap_or_else(|_| vec![self.lines.clone()])
    }
}

/// A line of its log.
#[derive(Deserialize)]
struct Line {
    level: String,
    fields: serde_json::Value,
}

/// A running daemon. It is killed when it is dropped; its tables stay.
#[derive(Debug)]
pub struct Policyd {
    node: u8,
    netns: Netns,
    child: Child,
    log: PathBuf,
    state: PathBuf,
    arguments: Vec<String>,
    preloaded: Option<Preloaded>,
    /// Those among the arguments that say which node it is for.
    place: Vec<String>,
}

impl Policyd {
    /// Starts it on a node, with objects from a source and the node's CNI files. What is preloaded is so in each later process too.
    ///
    /// # Errors
    /// [`PolicydError::NotBuilt`], or what the system says.
    pub fn start(
        node: &Node,
        source: Source<'_>,
        arguments: &[&str],
        preloaded: Option<Preloaded>,
    ) -> Result<Self, PolicydError> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let state = node.dir().join("state");
        let place = [
            "--node-name".to_owned(),
            format!("node-{}", node.index()),
            "--cni-dir".to_owned(),
            path(&node.cni_dir()),
            "--state-dir".to_owned(),
            path(&state),
        ];
        let source = match source {
            Source::Folder(folder) => ["--manifests".to_owned(), path(folder)],
            Source::ApiServer(kubeconfig) => ["--kubeconfig".to_owned(), path(kubeconfig)],
        };
        let mut all = ["run", "-v", "--log-format", "json"].map(str::to_owned).to_vec();
        all.extend(source);
        all.extend(place.clone());
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let log = node.dir().join("policyd.log");
        let child = spawn(node.netns(), &all, preloaded.as_ref(), &log)?;
        let (node, netns) = (node.index(), node.netns().clone());
        Ok(Self { node, netns, child, log, state, arguments: all, preloaded, place: place.to_vec() })
    }

    /// By what the kernel differs from what a folder of manifests would be compiled to from nothing, as another `policyd` says it
    /// (`--dry-run`); `None` if by nothing.
    ///
    /// # Errors
    /// [`PolicydError::Io`] with what that one says, if it says no such thing.
    pub fn difference_from(&self, folder: &Path) -> Result<Option<String>, PolicydError> {
        let mut command = self.netns.command(&binary()?.to_string_lossy());
        command.args(["run", "--dry-run", "--manifests"]).arg(folder).args(&self.place);
        let output = command.output().map_err(io_error("policyd run --dry-run"))?;
        let out = String::from_utf8_lossy(&output.stdout);
        match out.split_once(" operations from what the kernel holds now:") {
            Some((before, _)) if before.ends_with("\n# 0") => Ok(None),
            Some((_, operations)) => Ok(Some(operations.to_owned())),
            None => {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                Err(io_error("policyd run --dry-run")(io::Error::other(said)))
            }
        }
    }

    /// Kills it (SIGKILL) and starts it again with the same arguments. It need not be ready yet.
    ///
    /// # Errors
    /// What the system says.
    pub fn restart(&mut self) -> Result<(), PolicydError> {
        self.kill();
        self.child = spawn(&self.netns, &self.arguments, self.preloaded.as_ref(), &self.log)?;
        Ok(())
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The node it is for, counted from 1.
    #[must_use]
    pub fn node(&self) -> u8 {
        self.node
    }

    /// What is preloaded into it.
    #[must_use]
    pub fn preloaded(&self) -> Option<&Preloaded> {
        self.preloaded.as_ref()
    }

    /// Lets it run on after this process.
    pub fn detach(self) {
        // Its destructor would kill it.
        std::mem::forget(self);
    }

    /// Its process id. `policyd` is the program itself: entering the namespace replaces it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps its objects for a boot without its API server. Who follows a folder writes none.
    #[must_use]
    pub fn state_file(&self) -> PathBuf {
        self.state.join("objects.jsonl")
    }

    /// Asks its HTTP server. Gives the body of a 200 answer, `None` for any other.
    ///
    /// # Errors
    /// [`PolicydError::Io`] if nobody listens.
    pub fn get(&self, path: &str) -> Result<Option<String>, PolicydError> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: policyd\r\nConnection: close\r\n\r\n");
        let answer = self.netns.enter(|| {
            let mut stream = TcpStream::connect_timeout(&HTTP, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        })?;
        let answer = answer.map_err(io_error(format!("GET {path} on node {}", self.node)))?;
        let Some((head, body)) = answer.split_once("\r\n\r\n") else { return Ok(None) };
        Ok(head.starts_with("HTTP/1.1 200").then(|| body.to_owned()))
    }

    /// A metric's value, without labels.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn metric(&self, name: &str) -> Result<Option<f64>, PolicydError> {
        let page = self.get("/metrics")?.unwrap_or_default();
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.and_then(|value| value.parse().ok()))
    }

    /// Waits until its first revision is in force.
    ///
    /// # Errors
    /// [`PolicydError::Ended`], [`PolicydError::TooLate`].
    pub fn wait_until_ready(&mut self, within: Duration) -> Result<(), PolicydError> {
        self.wait("ready", within, |daemon| matches!(daemon.get("/readyz"), Ok(Some(_))))
    }

    /// Readings of its folder that are in force.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.count("palisade_source_reads_total")
    }

    /// A metric that counts, without labels; 0 if it does not say.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.metric(name).ok().flatten().unwrap_or(0.0) as u64
    }

    /// Waits until one more reading of its folder is in force than there were.
    ///
    /// # Errors
    /// As [`Self::wait_until_ready`].
    pub fn wait_until_read(&mut self, before: u64, within: Duration) -> Result<(), PolicydError> {
        self.wait("up to date", within, |daemon| daemon.reads() > before)
    }

    fn wait(
        &mut self,
        state: &'static str,
        within: Duration,
        is: impl Fn(&Self) -> bool,
    ) -> Result<(), PolicydError> {
        let begin = Instant::now();
        while !is(self) {
            if self.child.try_wait().map_err(io_error("waiting for policyd"))?.is_some() {
                return Err(PolicydError::Ended { node: self.node, log: self.last_lines() });
            }
            if begin.elapsed() > within {
                return Err(PolicydError::TooLate { node: self.node, state, within, log: self.last_lines() });
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Its whole log, a JSON object a line.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn last_lines(&self) -> String {
        last_lines(&self.log(), 8)
    }

    /// A place in its log, for [`Self::commits_since`].
    #[must_use]
    pub fn mark(&self) -> u64 {
        fs::metadata(&self.log).map_or(0, |metadata| metadata.len())
    }

    /// The messages of errors that it has logged since.
    #[must_use]
    pub fn errors_since(&self, mark: u64) -> Vec<String> {
        let is_error = |line: &Line| line.level == "ERROR";
        let message = |line: Line| line.fields["message"].as_str().map(str::to_owned);
        self.lines_since(mark).filter(is_error).filter_map(message).collect()
    }

    /// The transactions that it has logged since.
    #[must_use]
    pub fn commits_since(&self, mark: u64) -> Vec<Commit> {
        self.lines_since(mark).filter_map(commit).collect()
    }

    fn lines_since(&self, mark: u64) -> impl Iterator<Item = Line> {
        let log = self.log();
        let since = log.get(usize::try_from(mark).unwrap_or(usize::MAX)..).unwrap_or_default();
        let lines: Vec<_> = since.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        lines.into_iter()
    }
}

fn commit(line: Line) -> Option<Commit> {
    (line.fields["message"] == "delta").then(|| serde_json::from_value(line.fields).ok())?
}

fn spawn(
    netns: &Netns,
    arguments: &[String],
    preloaded: Option<&Preloaded>,
    log: &Path,
) -> Result<Child, PolicydError> {
    let policyd = binary()?;
    let file = fs::OpenOptions::new().create(true).append(true).open(log);
    let file = file.map_err(io_error(log.display().to_string()))?;
    let mut command = netns.command(&policyd.to_string_lossy());
    command
        .args(arguments)
        .envs(preloaded.map(Preloaded::variables).unwrap_or_default())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file);
    // Ctrl-C is for whoever owns the lab; the lab's end is the end of its daemons.
    command.process_group(0);
    command.spawn().map_err(io_error(policyd.display().to_string()))
}

impl Drop for Policyd {
    fn drop(&mut self) {
        self.kill();
    }
}
