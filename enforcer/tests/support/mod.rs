//! A network namespace with an empty pod bridge, a folder of manifests, and the real `policyd` in them.
#![expect(unreachable_pub, dead_code, reason = "several test programs share it, and none uses all of it")]

pub mod committing;

use nix::{
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use policy_model::{cluster::Change, manifest};
use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

const POLICYD: &str = env!("CARGO_BIN_EXE_policyd");

/// How long something may take that takes a moment.
const PATIENCE: Duration = Duration::from_secs(10);

/// The namespace is that of the calling thread, so a test and everything it starts is in it, and it ends with them.
pub struct Node {
    dir: PathBuf,
}

impl Node {
    /// `name` is the test's. With a bridge `cni0` at 10.244.1.1/24.
    pub fn new(name: &str) -> Self {
        assert!(
            geteuid().is_root(),
            "this test makes a network namespace and changes nftables in it: run it as root"
        );
        unshare(CloneFlags::CLONE_NEWNET).expect("make a network namespace");
        let dir = std::env::temp_dir().join(format!("palisade-{}-{name}", std::process::id()));
        fs::create_dir_all(dir.join("manifests")).expect("make a folder");
        let node = Self { dir };
        node.ip("link set lo up");
        node.ip("link add cni0 type bridge");
        node.ip("addr add 10.244.1.1/24 dev cni0");
        node.ip("link set cni0 up");
        node
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a manifest as an editor does: in place.
    pub fn write(&self, name: &str, text: &str) {
        write(&self.path("manifests").join(name), text);
    }

    pub fn ip(&self, arguments: &str) {
        succeed(Command::new("ip").args(arguments.split(' ')));
    }

    pub fn nft(&self, arguments: &str) -> String {
        succeed(Command::new("nft").args(arguments.split(' ')))
    }

    fn arguments(&self, arguments: &str) -> Vec<String> {
        let mut all: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
        let folder = |name: &str| self.path(name).display().to_string();
        let command = all.first().map(String::as_str);
        if matches!(command, Some("init" | "cleanup")) && !arguments.contains("--state-dir") {
            all.extend(["--state-dir".into(), folder("state")]);
        }
        if all.first().is_some_and(|command| command == "run") {
            all.extend(["--manifests".into(), folder("manifests"), "--node-name".into(), "w1".into()]);
            all.extend(["--cni-dir".into(), folder("cni"), "--state-dir".into(), folder("state")]);
        }
        all
    }

    /// Runs `policyd` to its end. `run` gets the node's name and its folders, `init` and `cleanup` the state folder.
    pub fn policyd(&self, arguments: &str) -> Ended {
        Ended::of(Command::new(POLICYD).args(self.arguments(arguments)))
    }

    /// The same by way of another program, such as `setpriv … --`.
    pub fn policyd_by(&self, wrapper: &str, arguments: &str) -> Ended {
        let mut words = wrapper.split(' ');
        let program = words.next().expect("a program");
        Ended::of(Command::new(program).args(words).arg(POLICYD).args(self.arguments(arguments)))
    }

    /// The same in a mount namespace of its own, after a command.
    pub fn policyd_in_shell(&self, before: &str, arguments: &str) -> Ended {
        let script = format!("{before} && exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script, "sh", POLICYD]);
        Ended::of(command.args(self.arguments(arguments)))
    }

    /// Starts `policyd run` and waits until its first revision is in force.
    pub fn start(&self, arguments: &str) -> Running {
        let log = self.path("log");
        let file = File::create(&log).expect("make a log file");
        let child = Command::new(POLICYD)
            .args(self.arguments(&format!("run {arguments}")))
            .stderr(Stdio::from(file))
            .spawn()
            .expect("start policyd");
        let running = Running { child, log };
        eventually("policyd is ready", || {
            http("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
        });
        running
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A process that has ended, with all it said.
#[derive(Debug)]
pub struct Ended {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().expect("run policyd");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { status: status.code().expect("an exit status"), out: text(stdout), err: text(stderr) }
    }

    /// What was said about errors, in one line: messages are wrapped at the terminal's width.
    pub fn said(&self) -> String {
        self.err.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ")
    }
}

/// A `policyd` that runs; killed at the end if it still does.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("read the log")
    }

    /// Sends a signal and waits for the end; the exit status.
    pub fn stop(&mut self, signal: Signal) -> Option<i32> {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("send a signal");
        self.child.wait().expect("wait for policyd").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("policyd's log:\n{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

pub fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("make a folder");
    fs::write(path, text).expect("write a file");
}

pub fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("run a command");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Waits until something is so.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The whole answer to a GET at policyd's usual address.
pub fn http(path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(enforcer::observe::DEFAULT_ADDRESS).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// The changes that bring these manifests' objects.
pub fn changes(text: &str) -> Vec<Change> {
    let parsed = manifest::parse("test.yaml", text);
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    parsed.objects.into_iter().filter_map(|object| object.value.into_change()).collect()
}

/// A pod of this node, or of another if `node` says so.
pub fn pod(name: &str, app: &str, address: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, labels: {{app: {app}}}}}\n\
         spec: {{nodeName: w1, containers: [{{name: c, image: i, ports: [{{name: main, containerPort: 8080}}]}}]}}\n\
         status: {{phase: Running, podIP: {address}, podIPs: [{{ip: {address}}}]}}\n---\n"
    )
}

/// Lets pods labelled `app: {from}` reach those labelled `app: {subject}` at the port called `main`.
pub fn policy(subject: &str, from: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {subject}, namespace: shop}}\n\
         spec:\n  podSelector: {{matchLabels: {{app: {subject}}}}}\n  ingress:\n  \
         - from: [{{podSelector: {{matchLabels: {{app: {from}}}}}}}]\n    ports: [{{port: main}}]\n---\n"
    )
}

/// Two pods, of which `db` lets only `front` in.
pub fn shop() -> String {
    pod("front-0", "front", "10.244.1.2") + &pod("db-0", "db", "10.244.1.3") + &policy("db", "front")
}
