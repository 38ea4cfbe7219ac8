//! How a cluster ends: in good order, by Ctrl-C while it boots, by a crash of all that would clean up.

use conformance::lab::ownership::STATE_DIR;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long cleaning up may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn cluster(name: &str, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dev"));
    command.arg("cluster").args(words).args(["--name", name]).stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Takes the cluster down when the test ends, however it ends.
struct Named(&'static str);

impl Named {
    /// Starts it, and waits until it has said a line with this in it.
    fn boot(&self, until: &str) -> Child {
        let mut child = cluster(self.0, &["up", "--workers", "2"])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("cargo cluster up");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let found = lines.map_while(Result::ok).any(|line| line.contains(until));
        assert!(found, "it never said `{until}`");
        child
    }

    /// What is on this machine because of it: namespaces, folders, control groups, processes.
    fn remains(&self) -> Vec<String> {
        let part = format!("pal-{}-", self.0);
        let groups = entries("/sys/fs/cgroup").into_iter().flat_map(|hierarchy| entries(&hierarchy));
        let places = ["/run/netns", STATE_DIR, "/var/lib/palisade-lab", "/sys/fs/cgroup"];
        let files = places.iter().flat_map(entries).chain(groups);
        let files = files.filter(|file| file.contains(&part));
        let processes = entries("/proc").into_iter().filter(|process| {
            fs::read(format!("{process}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&part))
        });
        files.chain(processes).collect()
    }

    fn expect_nothing(&self, when: &str) {
        let begin = Instant::now();
        while !self.remains().is_empty() {
            assert!(begin.elapsed() < PATIENCE, "{when}: {:#?}", self.remains());
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = cluster(self.0, &["down"]).output();
    }
}

fn entries(folder: impl Into<PathBuf>) -> Vec<String> {
    let entries = fs::read_dir(folder.into()).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().to_string_lossy().into_owned()).collect()
}

/// The reaper that a process has started.
fn reaper_of(parent: u32) -> Pid {
    let children =
        fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).expect("its children");
    let reaper = children.split_whitespace().find(|child| {
        fs::read(format!("/proc/{child}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains("palisade-lab-reaper"))
    });
    Pid::from_raw(reaper.expect("a reaper").parse().expect("a number"))
}

fn signal(process: &Child, signal: Signal) {
    kill(Pid::from_raw(process.id().cast_signed()), signal).expect("it runs");
}

#[test]
fn nothing_is_left_of_a_boot_that_is_interrupted() {
    let name = Named("interrupted");
    let mut boot = name.boot("nodes started");
    assert!(name.remains().len() > 5, "it is there: {:#?}", name.remains());
    signal(&boot, Signal::SIGINT);
    boot.wait().expect("its end");
    name.expect_nothing("after Ctrl-C");
}

#[test]
fn after_a_crash_of_all_that_would_clean_up_the_next_start_works_and_leaves_nothing() {
    let name = Named("crashed");
    let mut boot = name.boot("API server ready");
    kill(reaper_of(boot.id()), Signal::SIGKILL).expect("the reaper runs");
    signal(&boot, Signal::SIGKILL);
    boot.wait().expect("its end");
    assert!(name.remains().len() > 3, "nobody has cleaned up: {:#?}", name.remains());
    let up = cluster(name.0, &["up", "--workers", "2"]).output().expect("cargo cluster up");
    assert!(up.status.success(), "{}", said(&up));
    assert_eq!(
        entries(STATE_DIR).iter().filter(|dir| dir.contains("pal-crashed-")).count(),
        1,
        "the first is gone"
    );
    let status = cluster(name.0, &["status"]).output().expect("cargo cluster status");
    assert!(status.status.success() && said(&status).starts_with("up\n"), "{}", said(&status));
    let again = cluster(name.0, &["up", "--workers", "2"]).output().expect("cargo cluster up");
    assert!(again.status.success() && said(&again).starts_with("up already\n"), "{}", said(&again));
    let other = cluster(name.0, &["up", "--workers", "3"]).output().expect("cargo cluster up");
    assert!(
        !other.status.success() && said(&other).contains("another cluster of this name"),
        "{}",
        said(&other)
    );
    // What is run comes last.
    let mut node = Command::new(env!("CARGO_BIN_EXE_dev"));
    node.args(["cluster", "shell", "--name", name.0, "n7", "--", "true"]);
    let node = node.output().expect("cargo cluster shell");
    assert!(said(&node).contains("there is no node `n7`; the nodes are n1, n2"), "{}", said(&node));
    let down = cluster(name.0, &["down"]).output().expect("cargo cluster down");
    assert!(down.status.success(), "{}", said(&down));
    name.expect_nothing("after `down`");
}

#[test]
fn down_clears_what_a_crash_has_left() {
    let name = Named("cleared");
    let mut boot = name.boot("API server ready");
    kill(reaper_of(boot.id()), Signal::SIGKILL).expect("the reaper runs");
    signal(&boot, Signal::SIGKILL);
    boot.wait().expect("its end");
    let down = cluster(name.0, &["down"]).output().expect("cargo cluster down");
    assert!(down.status.success(), "{}", said(&down));
    name.expect_nothing("after `down`");
}
