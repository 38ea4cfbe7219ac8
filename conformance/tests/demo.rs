//! `cargo demo` to its end, as a function and as a program: nothing fails, and nothing of it is left.

use conformance::{
    demo::{self, Checks, Screen},
    lab::ownership,
};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

fn company() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/company")
}

/// `cargo demo` without cargo.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dev"));
    let policyd = conformance::enforced::binary().expect("policyd is built");
    command.args(arguments).env("PALISADE_POLICYD", policyd);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What of a lab is on this machine.
fn leftovers(id: &str) -> Vec<String> {
    let names = |folder: &str| {
        fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
    };
    let all = names("/run/netns").chain(names(ownership::STATE_DIR));
    all.filter(|name| name.starts_with(id)).collect()
}

/// Processes whose command line names the lab.
fn processes(id: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = entries.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(id)).map(|line| line.replace('\0', " ")).collect()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(10), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The newest lab that a process of ours has raised for a demo.
fn lab_of(child: &Child) -> Option<String> {
    let reapers = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| {
        let path = entry.path();
        let status = fs::read_to_string(path.join("status")).ok()?;
        let parent =
            status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse::<u32>().ok()?;
        let line = fs::read_to_string(path.join("cmdline")).ok().filter(|_| parent == child.id())?;
        line.split('\0').find(|word| word.starts_with("pal-demo-")).map(str::to_owned)
    });
    reapers.last()
}

#[test]
fn it_holds_from_the_first_matrix_to_the_last_and_leaves_nothing() {
    let (mut said, mut checks) = (Vec::new(), Checks::default());
    let kept = demo::run(&company(), false, &mut Screen::plain(&mut said), &mut checks).expect("it runs");
    let said = String::from_utf8(said).expect("text");
    assert_eq!(checks.failures, Vec::<String>::new(), "{said}");
    assert!(checks.passed > 10_000, "{} checks", checks.passed);
    assert_eq!(kept, None);
    for part in [
        "Without policies everyone reaches everyone",
        "A label is removed",
        "gateway-0 → front-58d6-k2x7p http: allowed → denied",
        "A policy is added",
        "grafana-6d7b-q1w5e → db-0 metrics: denied → allowed",
        "A namespace is relabelled",
        "api-84bd-n3v6z → pay-5f8c-x7d3g grpc: allowed → denied",
        "0 of its segments reached the batch pod",
        "in the 500 ms after the commit: 0.",
        "NetworkPolicy shop/broken: spec.podSelecter",
        "the machine is as it was",
    ] {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&said).contains(part), "{part}\n{said}");
    }
    assert!(
        said.matches("delete element inet palisade").count() > 3,
        "the Deltas are in nft's words:\n{said}"
    );
    let long = said.lines().find(|line| line.chars().count() > 100);
    assert_eq!(long, None, "a line is longer than 100 columns");
    assert!(!said.contains('\x1b'), "colour is for terminals");
}

#[test]
fn an_interruption_at_any_moment_leaves_nothing() {
    for (signal, after) in [("INT", 0), ("INT", 300), ("TERM", 1500), ("INT", 6000)] {
        let mut child = program(&["demo"]).spawn().expect("the demo");
        wait_until("it raises a lab", || lab_of(&child).is_some());
        let id = lab_of(&child).expect("its lab");
        thread::sleep(Duration::from_millis(after));
        let kill = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
        assert!(kill.expect("kill").success());
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let lines: Vec<_> = lines.map_while(Result::ok).collect();
        assert!(!child.wait().expect("its end").success(), "an interrupted demo has not succeeded");
        assert_eq!(
            leftovers(&id),
            Vec::<String>::new(),
            "SIG{signal} after {after} ms:\n{}",
            lines.join("\n")
        );
        assert_eq!(processes(&id), Vec::<String>::new(), "SIG{signal} after {after} ms");
    }
}

/// A lab that was left up: whatever becomes of the test, it goes.
struct Kept(String);

impl Drop for Kept {
    fn drop(&mut self) {
        if let Err(error) = ownership::remove(&self.0) {
            eprintln!("{} is left: {error}", self.0);
        }
    }
}

#[test]
fn kept_it_can_be_looked_at_and_taken_down() {
    let Output { status, stdout, stderr } = program(&["demo", "--keep"]).output().expect("the demo");
    let said = String::from_utf8_lossy(&stdout);
    let down = said.lines().find_map(|line| line.trim().strip_prefix("cargo dev demo-down "));
    let kept = Kept(down.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&stderr))).to_owned());
    let id = &kept.0;
    assert!(status.success(), "{said}{}", String::from_utf8_lossy(&stderr));
    let last = said.lines().last().unwrap_or_default();
    assert!(last.ends_with(" passed, 0 failed"), "{last}");

    // What it says works as it stands.
    let commands = said.lines().map(str::trim).filter(|line| line.starts_with("ip netns exec"));
    let run = |command: &str| Command::new("sh").args(["-c", command]).output().expect("a shell");
    let mut outputs = Vec::new();
    for command in commands.filter(|command| !command.contains("curl")) {
        let output = run(command);
        outputs.push((
            command,
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        ));
    }
    let [(_, true, ruleset), (_, _, api), (_, _, front)] = &outputs[..] else { panic!("{outputs:?}") };
    assert!(ruleset.contains("table inet palisade") && ruleset.contains("shop/db-0"), "{ruleset}");
    assert!(api.starts_with("shop/db-0 "), "the api is answered: {api}");
    assert_eq!(front, "", "the front is not answered");
    let remove = said.lines().map(str::trim).find(|line| line.starts_with("rm ")).expect("a change to try");
    assert!(run(remove).status.success());
    let (ask_as_api, ..) = &outputs[1];
    // Without its policy nothing lets anyone in any more.
    wait_until("the folder is followed", || run(ask_as_api).stdout.is_empty());

    let output = program(&["demo-down", id]).output().expect("demo-down");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(leftovers(id), Vec::<String>::new());
    wait_until("no process is left", || processes(id).is_empty());
    let again = program(&["demo-down", id]).output().expect("demo-down");
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("there is no demo"));
}
