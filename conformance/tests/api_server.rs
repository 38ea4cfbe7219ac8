//! etcd and a kube-apiserver of our own: they start, go on after a kill, forget history, and leave nothing.

use conformance::{
    cluster::{ApiServer, Identity},
    lab::ownership,
};
use std::{fs, path::Path};

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
