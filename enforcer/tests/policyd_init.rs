//! `policyd init` and what `policyd cleanup` takes back, in a network namespace of their own.

mod support;

use std::fs;
use support::{Ended, Node, write};

const SWITCHES: [&str; 2] = ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"];

fn path(switch: &str) -> String {
    format!("/proc/sys/net/bridge/{switch}")
}

fn switches() -> [String; 2] {
    SWITCHES.map(|switch| fs::read_to_string(path(switch)).expect("a switch").trim().to_owned())
}

fn set(values: [&str; 2]) {
    for (switch, value) in SWITCHES.into_iter().zip(values) {
        fs::write(path(switch), value).expect("set a switch");
    }
}

/// What was said on standard error, without the breaks of its lines.
fn said(ended: &Ended) -> String {
    let lines = ended.err.lines().map(|line| line.trim_start_matches([' ', '│', '×']));
    lines.collect::<Vec<_>>().join(" ").replace("/ ", "/")
}

#[test]
fn switches_are_turned_on_once_and_put_back() {
    let node = Node::new("init");
    set(["0", "1"]);
    let first = node.policyd("init");
    assert_eq!(first.status, 0, "{first:?}");
    assert_eq!(
        first.out,
        "set      net.bridge.bridge-nf-call-iptables = 1\nis so    net.bridge.bridge-nf-call-ip6tables = 1\n"
    );
    assert_eq!(switches(), ["1", "1"]);
    // What a second run finds is what the first has set; that is not what was there.
    let again = node.policyd("init");
    assert_eq!(again.status, 0, "{again:?}");
    assert!(!again.out.contains("set "), "{}", again.out);

    let ended = node.policyd("cleanup");
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.out.contains("restored net.bridge.bridge-nf-call-iptables = 0\n"), "{}", ended.out);
    assert!(!ended.out.contains("ip6tables"), "it was on before: {}", ended.out);
    assert_eq!(switches(), ["0", "1"]);
    assert!(!node.path("state").exists());
    assert_eq!(node.policyd("cleanup").out, "nothing was there\n");
}

#[test]
fn what_somebody_has_turned_off_since_stays_off() {
    let node = Node::new("init-changed");
    set(["0", "0"]);
    assert_eq!(node.policyd("init").status, 0);
    set(["0", "1"]);
    let ended = node.policyd("cleanup");
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(!ended.out.contains("-iptables"), "{}", ended.out);
    assert!(ended.out.contains("restored net.bridge.bridge-nf-call-ip6tables = 0\n"), "{}", ended.out);
    assert_eq!(switches(), ["0", "0"]);
}

#[test]
fn what_was_there_before_a_reboot_is_nobodys_wish_now() {
    let node = Node::new("init-reboot");
    set(["0", "0"]);
    assert_eq!(node.policyd("init").status, 0);
    let file = node.path("state/bridge-switches.json");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let kept = fs::read_to_string(&file).unwrap();
    assert!(kept.contains(boot.trim()), "{kept}");
    fs::write(&file, kept.replace(boot.trim(), "another")).unwrap();
    assert_eq!(node.policyd("cleanup").status, 0);
    assert_eq!(switches(), ["1", "1"], "they are on since somebody wants them on");
}

#[test]
fn nothing_is_changed_that_cannot_be_remembered() {
    let node = Node::new("init-full");
    set(["0", "0"]);
    write(&node.path("state"), "a file");
    let ended = node.policyd("init");
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(said(&ended).contains("state"), "{}", ended.err);
    assert_eq!(switches(), ["0", "0"]);
}

#[test]
fn switches_that_cannot_be_written_are_named_with_what_to_do() {
    let node = Node::new("init-read-only");
    set(["0", "0"]);
    let read_only = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys";
    let ended = node.policyd_in_shell(read_only, "init");
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(said(&ended).contains("net.bridge.bridge-nf-call-iptables cannot be set"), "{}", ended.err);
    assert!(said(&ended).contains("help: in a container /proc/sys is read-only"), "{}", ended.err);

    assert_eq!(node.policyd("init").status, 0);
    let ended = node.policyd_in_shell(read_only, "cleanup");
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(said(&ended).contains("cannot put br_netfilter's switches back"), "{}", ended.err);
    assert_eq!(node.policyd("cleanup").status, 0);
    assert_eq!(switches(), ["0", "0"], "what could not be put back was not forgotten");
}

/// A root folder with the host's programs, and a `modprobe` that does what this script says. The switches that the kernel
/// shows are hidden by an empty folder, which is `/switches` in there.
fn host_root(node: &Node, modprobe: &str) -> (String, String) {
    let root = node.path("root");
    write(&root.join("usr/local/keep"), "");
    write(&root.join("sbin/modprobe"), &format!("#!/bin/sh\n{modprobe}\n"));
    let root = root.display();
    let prepare = format!(
        "chmod +x {root}/sbin/modprobe && mkdir -p {root}/bin {root}/lib {root}/lib64 {root}/switches \
         && mount --bind /bin {root}/bin && mount --bind /lib {root}/lib && mount --bind /lib64 {root}/lib64 \
         && mount -t tmpfs none {root}/switches && mount --bind {root}/switches /proc/sys/net/bridge"
    );
    (root.to_string(), prepare)
}

#[test]
fn the_module_is_loaded_by_the_hosts_own_modprobe() {
    let node = Node::new("init-module");
    let script = "echo \"$@\" > /switches/called; for s in iptables ip6tables; do \
                  echo 1 > /switches/bridge-nf-call-$s; done";
    let (root, prepare) = host_root(&node, script);
    let before = node.policyd_in_shell(&prepare, "init --host-root /nowhere");
    assert_eq!(before.status, 1, "{before:?}");
    assert!(said(&before).contains("/nowhere cannot be entered as the host's root"), "{}", before.err);

    // In one shell, since the hidden folder ends with it.
    let both = format!(
        "{prepare} && {policyd} init --host-root {root} --state-dir {state} && cat {root}/switches/called \
         {root}/switches/bridge-nf-call-iptables && {policyd} cleanup --state-dir {state} && cat \
         {root}/switches/bridge-nf-call-ip6tables",
        policyd = env!("CARGO_BIN_EXE_policyd"),
        state = node.path("state").display(),
    );
    let ended = node.policyd_in_shell(&both, "--version");
    assert_eq!(ended.status, 0, "{ended:?}");
    let lines: Vec<&str> = ended.out.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "loaded   br_netfilter",
            "is so    net.bridge.bridge-nf-call-iptables = 1",
            "is so    net.bridge.bridge-nf-call-ip6tables = 1",
            "br_netfilter",
            "1",
        ]
    );
    assert!(lines.contains(&"restored net.bridge.bridge-nf-call-ip6tables = 0"), "{}", ended.out);
    assert!(lines.contains(&"left     br_netfilter loaded; `modprobe -r br_netfilter` unloads it"));
    // The file has no newline of its own.
    assert!(lines.last().is_some_and(|line| line.starts_with("0policyd")), "{}", ended.out);
}

#[test]
fn a_module_that_cannot_be_loaded_is_told_in_modprobes_words() {
    let node = Node::new("init-no-module");
    let (root, prepare) = host_root(&node, "echo 'Module br_netfilter not found' >&2; exit 1");
    let ended = node.policyd_in_shell(&prepare, &format!("init --host-root {root}"));
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(said(&ended).contains("Module br_netfilter not found"), "{}", ended.err);
    assert!(said(&ended).contains("SYS_MODULE"), "{}", ended.err);

    let none = format!("{prepare} && rm {root}/sbin/modprobe && mount -t tmpfs none {root}/bin");
    let ended = node.policyd_in_shell(&none, &format!("init --host-root {root}"));
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(said(&ended).contains("there is no modprobe in"), "{}", ended.err);
    assert!(said(&ended).contains("/etc/modules-load.d/"), "{}", ended.err);
}
