//! etcd and a kube-apiserver of our own: they start, go on after a kill, forget history, and leave nothing.

use conformance::{
    cluster::{ApiServer, Identity},
    lab::ownership,
};
use std::{fs, path::Path, process::Command};

/// What still carries the name of a lab.
fn leftovers(id: &str) -> Vec<String> {
    let names = |folder: &str| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().display().to_string()).collect::<Vec<_>>()
    };
    let processes = names("/proc").into_iter().filter(|process| {
        let line = fs::read(Path::new(process).join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(id)
    });
    let files = [names("/run/netns"), names(ownership::STATE_DIR)].concat();
    files.into_iter().filter(|name| name.contains(id)).chain(processes).collect()
}

#[test]
fn it_starts_goes_on_after_a_kill_forgets_history_and_leaves_nothing() {
    let mut server = ApiServer::start("api server").unwrap();
    let id = server.dir().file_name().unwrap().to_string_lossy().into_owned();
    assert!(!leftovers(&id).is_empty(), "the check sees what is there");
    let version = server.kubectl(&["get", "--raw", "/version"], "").unwrap();
    assert!(version.contains("\"gitVersion\": \"v1."), "{version}");

    server.kubectl(&["create", "namespace", "shop"], "").unwrap();
    server.kill();
    assert!(server.kubectl(&["get", "namespace", "shop"], "").is_err());
    server.resume().unwrap();
    server.kubectl(&["get", "namespace", "shop"], "").unwrap();

    let first = server.compact().unwrap();
    server.kubectl(&["create", "namespace", "other"], "").unwrap();
    assert!(server.compact().unwrap() > first);

    // A user without rights is known, and may do nothing.
    let config = server.kubeconfig(Identity { user: "nobody", group: "" }).unwrap();
    let refused =
        server.kubectl(&["--kubeconfig", &config.to_string_lossy(), "get", "pods"], "").unwrap_err();
    assert!(refused.to_string().contains("User \"nobody\" cannot list resource \"pods\""), "{refused}");

    drop(server);
    assert_eq!(leftovers(&id), [""; 0]);
}

/// Runs `cargo cluster …`: whether it ended well, and what it printed.
fn cluster(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dev"));
    // Not the one that somebody at this machine may have left up.
    command.args(["cluster", "--name", "test"]).args(arguments);
    let output = command.output().expect("run it");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_cluster_that_is_left_up_is_found_used_and_taken_down_without_a_trace() {
    let (up, said) = cluster(&["up", "--api-only"]);
    assert!(up, "{said}");
    let kubectl =
        said.lines().find_map(|line| line.strip_prefix("  ip ")).expect("how to reach it").to_owned();
    let used = Command::new("ip").args(kubectl.split(' ')).output().unwrap();
    assert!(String::from_utf8_lossy(&used.stdout).contains("kube-system"), "{used:?}");
    let id = kubectl.split(' ').nth(2).unwrap().trim_end_matches("-api").to_owned();

    let (again, said) = cluster(&["up", "--api-only"]);
    assert!(again && said.contains("up already") && said.contains(&id), "{said}");
    assert!(cluster(&["status"]).0);
    assert!(cluster(&["down"]).0);
    assert_eq!(leftovers(&id), [""; 0]);
    assert_eq!(cluster(&["status"]), (false, "down; `cargo cluster up` starts it\n".into()));
    assert_eq!(cluster(&["down"]), (true, "down already\n".into()));
}
