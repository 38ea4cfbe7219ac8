//! What only the program itself can show: its name, streams and environment.

use std::{
    io::Write,
    process::{Command, Stdio},
};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_policyctl"))
}

#[test]
fn as_a_plugin_it_calls_itself_kubectl_policy() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let plugin = folder.join("kubectl-policy");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_policyctl"), &plugin).expect("a link");
    let help = Command::new(&plugin).args(["explain", "--help"]).output().expect("it runs");
    let help = String::from_utf8_lossy(&help.stdout);
    assert!(help.contains("Usage: kubectl policy explain"), "{help}");
}

#[test]
fn standard_input_is_read_and_nothing_is_coloured_in_a_pipe() {
    let mut child = program()
        .args(["matrix", "-f", "-", "-o", "csv"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let text = std::fs::read("tests/data/broken/b-good.yaml").expect("a file");
    child.stdin.take().expect("a pipe").write_all(&text).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(out.contains("shop/a[Pod],0.0.0.0-255.255.255.255,all") && !out.contains('\x1b'), "{out}");
}

#[test]
fn nothing_on_standard_input_is_said() {
    let output = program().args(["matrix", "-f", "-"]).stdin(Stdio::null()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no object"), "{output:?}");
}

#[test]
fn without_files_and_without_a_kubeconfig_there_is_nothing_to_read() {
    let run = |key: &str, value: &str| {
        let mut program = program();
        for unset in ["KUBECONFIG", "KUBERNETES_SERVICE_HOST"] {
            program.env_remove(unset);
        }
        let output = program.arg("matrix").env("HOME", "/nowhere").env(key, value).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(output.status.code(), Some(4), "{said}");
        assert!(said.contains("there is no kubeconfig") && said.contains("with -f"), "{said}");
        said
    };
    assert!(run("HOME", "/nowhere").contains("/nowhere/.kube/config"));
    assert!(run("KUBECONFIG", "/nowhere/a:/nowhere/b").contains("(/nowhere/a, /nowhere/b)"));
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let mut child = program()
        .args(["completion", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}
