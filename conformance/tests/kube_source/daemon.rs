//! `policyd` on the ground's node.

use super::ground::{Ground, NODE, eventually};
use conformance::{enforced::binary, lab::Netns, preload::Preloaded};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Output},
    thread,
    time::Duration,
};

pub(crate) struct Daemon {
    child: Child,
    netns: Netns,
    log: PathBuf,
}

/// Arguments that every run on the ground has.
fn common(ground: &Ground) -> Vec<String> {
    let folder = |name: &str| ground.dir().join(name).display().to_string();
    ["--node-name", NODE, "--cni-dir", &folder("cni"), "--state-dir", &folder("state")]
        .map(str::to_owned)
        .to_vec()
}

/// Runs `policyd run` with this kubeconfig to its end.
pub(crate) fn run(ground: &Ground, config: &Path, arguments: &[&str]) -> Output {
    let mut command = ground.netns().command(&binary().expect("policyd").to_string_lossy());
    command.args(["run", "--kubeconfig"]).arg(config).args(common(ground)).args(arguments);
    command.output().expect("run policyd")
}

impl Daemon {
    /// It need not be ready yet.
    pub(crate) fn launch(ground: &Ground, config: &Path) -> Self {
        Self::launch_in(ground.netns(), ground.dir(), config, &common(ground))
    }

    /// The same with more arguments, as the administrator.
    pub(crate) fn launch_with(ground: &Ground, more: &[&str]) -> Self {
        let more: Vec<String> = more.iter().map(|&argument| argument.to_owned()).collect();
        Self::launch_in(ground.netns(), ground.dir(), &ground.admin, &[common(ground), more].concat())
    }

    /// Follows a folder of manifests on the ground's node.
    pub(crate) fn of_folder(ground: &Ground, folder: &Path) -> Self {
        let source = ["--manifests".to_owned(), folder.display().to_string()];
        Self::spawn(ground.netns(), ground.dir(), &[&source[..], &common(ground)].concat())
    }

    /// The same in any namespace; its log is written into the folder.
    pub(crate) fn launch_in(netns: &Netns, folder: &Path, config: &Path, arguments: &[String]) -> Self {
        let source = ["--kubeconfig".to_owned(), config.display().to_string()];
        Self::spawn(netns, folder, &[&source, arguments].concat())
    }

    /// The same as [`Self::launch`] with libraries preloaded.
    pub(crate) fn launch_under(ground: &Ground, preloaded: &Preloaded) -> Self {
        let source = ["--kubeconfig".to_owned(), ground.admin.display().to_string()];
        let arguments = [&source, &common(ground)[..]].concat();
        Self::spawn_under(ground.netns(), ground.dir(), &arguments, preloaded.variables())
    }

    fn spawn(netns: &Netns, folder: &Path, arguments: &[String]) -> Self {
        Self::spawn_under(netns, folder, arguments, Vec::new())
    }

    fn spawn_under(
        netns: &Netns,
        folder: &Path,
        arguments: &[String],
        variables: Vec<(&'static str, OsString)>,
    ) -> Self {
        let log = folder.join("policyd.log");
        let file = File::create(&log).expect("a log file");
        let mut command = netns.command(&binary().expect("policyd").to_string_lossy());
        command.arg("run").args(arguments).envs(variables).stderr(file);
        let child = command.spawn().expect("start policyd");
        Self { child, netns: netns.clone(), log }
    }

    /// Its first revision is in force when this returns.
    pub(crate) fn start(ground: &Ground) -> Self {
        let daemon = Self::launch(ground, &ground.admin);
        eventually("policyd is ready", || daemon.is_ready());
        daemon
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the log")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).expect("send a signal");
    }

    /// How it ended, if it does after a signal.
    pub(crate) fn stop(mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        self.child.wait().expect("wait for policyd").code()
    }

    /// The whole answer to a GET.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        let answer = self.netns.enter(|| {
            let mut stream = TcpStream::connect("127.0.0.1:9469").ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            Some(answer)
        });
        answer.expect("the namespace")
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.get("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// The sum of a metric over its labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let page = self.get("/metrics").unwrap_or_default();
        let lines = page.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// How the kernel differs from what the API server's objects, as a folder, would be compiled to from nothing.
    pub(crate) fn difference(&self, ground: &Ground) -> Option<String> {
        let kinds = "namespaces,nodes,services,networkpolicies,pods";
        let state = ground.run(&format!("get {kinds} --all-namespaces --output json"));
        let folder = ground.dir().join("manifests");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("state.json"), state).expect("a file");
        let mut command = ground.netns().command(&binary().expect("policyd").to_string_lossy());
        command.args(["run", "--dry-run", "--manifests"]).arg(&folder).args(common(ground));
        let output = command.output().expect("run policyd");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{err}");
        let (_, delta) = out.split_once("operations from what the kernel holds now:").expect("a comparison");
        (!out.contains("\n# 0 operations from")).then(|| delta.to_owned())
    }

    /// Waits until the kernel is as it would be from nothing.
    pub(crate) fn settles(&self, ground: &Ground) {
        let mut last = None;
        for _ in 0..60 {
            last = self.difference(ground);
            if last.is_none() {
                return;
            }
            thread::sleep(Duration::from_millis(200));
        }
        panic!("the kernel differs:{}\npolicyd's log:\n{}", last.unwrap_or_default(), self.log());
    }

    /// Changes our tables as somebody else.
    pub(crate) fn edit(&self, command: &str) {
        self.netns.nft(command).expect("an edit");
    }

    /// Our tables as nft lists them.
    pub(crate) fn tables(&self) -> String {
        self.netns.exec(&["nft", "list", "ruleset"]).expect("a listing")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("policyd's log:\n{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}
