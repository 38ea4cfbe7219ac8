//! A container runtime that is absent or does not answer: what `check` and `run` say of it, and that policy is in force all the same. One
//! that answers, a real containerd, is in `conformance/tests/cluster_runtime.rs`.

mod support;

use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    thread,
};
use support::{Node, eventually, shop};

/// Whoever connects is answered with a page of HTTP/1, as by a server that is no runtime.
fn serve_pages(socket: &Path) {
    let listener = UnixListener::bind(socket).expect("a socket");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = [0; 24];
            // The client may be gone already.
            let _ = stream.read_exact(&mut asked);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
}

/// The line of `policyd check`, as (status, value, what).
fn checked(node: &Node, socket: &Path) -> (String, String, String) {
    let ended = node.policyd(&format!("check -o json --cri-socket {}", socket.display()));
    assert_eq!(ended.status, 0, "a runtime is no reason for policy not to hold: {ended:?}");
    let answer: Value = serde_json::from_str(&ended.out).expect("JSON");
    let checks = answer["checks"].as_array().expect("checks");
    let found = checks.iter().find(|check| check["fact"] == "container_runtime").expect("its line");
    assert!(found["help"].is_string(), "{found}");
    let text = |name: &str| found[name].as_str().expect("text").to_owned();
    (text("status"), text("value"), text("what"))
}

#[test]
fn each_way_of_not_answering_is_named() {
    let node = Node::new("runtime-check");
    let said = |socket: &PathBuf, value: &str, what: &str| {
        let (status, found, text) = checked(&node, socket);
        assert_eq!((&*status, &*found), ("warn", value), "{text}");
        assert!(text.starts_with(&socket.display().to_string()) && text.contains(what), "{text}");
    };
    said(&node.path("none.sock"), "absent", "No such file or directory");
    let file = node.path("file");
    fs::write(&file, "").expect("a file");
    said(&file, "no answer", "Connection refused");
    let left = node.path("left.sock");
    drop(UnixListener::bind(&left).expect("a socket"));
    said(&left, "no answer", "Connection refused");
    let silent = node.path("silent.sock");
    let listening = UnixListener::bind(&silent).expect("a socket");
    said(&silent, "no answer", "is not answered within 5s");
    drop(listening);
    let pages = node.path("pages.sock");
    serve_pages(&pages);
    let (status, value, what) = checked(&node, &pages);
    assert_eq!(status, "warn");
    assert!(["unfit", "no answer"].contains(&&*value), "{value}: {what}");

    let ended = node.policyd("check --cri-socket containerd.sock");
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.err.contains("auto, or the absolute path of a socket"), "{}", ended.err);
    assert!(!node.policyd("check").out.contains("runtime"), "it is not asked");
}

#[test]
fn policy_is_in_force_beside_a_runtime_that_is_silent() {
    let node = Node::new("runtime-silent");
    node.write("shop.yaml", &shop());
    let silent = node.path("silent.sock");
    let _listening = UnixListener::bind(&silent).expect("a socket");
    let mut running = node.start(&format!("--cri-socket {}", silent.display()));
    assert!(node.nft("list ruleset").contains("shop/db-0"), "the first revision does not wait for it");
    eventually("it is said", || running.log().contains(r#"fact="runtime""#));
    assert_eq!(running.log().matches(r#"fact="runtime""#).count(), 1, "{}", running.log());
    assert_eq!(running.stop(Signal::SIGTERM), Some(0));
}
