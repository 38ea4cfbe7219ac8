//! The chart and the files that it renders.

use super::{deploy, helm, render};
use std::{fs, process::Command};

/// The chart's output for these arguments is a file of deploy/, byte for byte.
fn must_be(file: &str, arguments: &[&str]) {
    let mut all = vec!["template", "palisade", "chart"];
    all.extend(arguments);
    let output = helm(&all);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rendered = String::from_utf8(output.stdout).expect("text");
    let kept = fs::read_to_string(deploy().join(file)).expect("a file of deploy/");
    let line = rendered.lines().zip(kept.lines()).position(|(rendered, kept)| rendered != kept);
    let program = conformance::cluster::helm().expect("helm");
    assert!(
        rendered == kept,
        "deploy/{file} is not what the chart renders, first in line {}; in deploy/: {} {} > {file}",
        line.map_or_else(|| rendered.lines().count().min(kept.lines().count()) + 1, |line| line + 1),
        program.display(),
        all.join(" ")
    );
}

#[test]
fn what_is_installed_is_what_the_chart_renders() {
    must_be("palisade.yaml", &[]);
    must_be("uninstall.yaml", &["--set", "mode=cleanup", "--show-only", "templates/daemonset.yaml"]);
}

#[test]
fn the_version_is_that_of_the_workspace() {
    let rendered = render(&[]).unwrap();
    let image = concat!("ghcr.io/palisade-policy/policyd:", env!("CARGO_PKG_VERSION"));
    let images: Vec<&str> = rendered.lines().filter_map(|line| line.trim().strip_prefix("image: ")).collect();
    assert_eq!(images, [image, image], "the init container's and policyd's own");
}

#[test]
fn the_dashboard_comes_where_it_is_asked_for_and_is_the_file() {
    assert!(!render(&[]).unwrap().contains("kind: ConfigMap"));
    let rendered = render(&["grafana.dashboard=true"]).unwrap();
    let map = rendered.split("\n---").find(|document| document.contains("kind: ConfigMap")).unwrap();
    assert!(map.contains("grafana_dashboard: \"1\""), "{map}");
    let data = map.split_once("palisade.json: |\n").unwrap().1;
    let data: String =
        data.lines().map(|line| line.strip_prefix("    ").unwrap_or(line).to_owned() + "\n").collect();
    let kept = fs::read_to_string(deploy().join("grafana/palisade.json")).unwrap();
    assert_eq!(data.trim_end(), kept.trim_end());
}

#[test]
fn the_runtimes_socket_is_mounted_only_where_it_is_asked_for() {
    let plain = render(&[]).unwrap();
    assert!(!plain.contains("--cri-socket") && !plain.contains("containerd"), "{plain}");
    let rendered = render(&[r#"host.runtimeSocket="/run/k3s/containerd/containerd.sock""#]).unwrap();
    for lines in [
        "            - --cri-socket=/run/k3s/containerd/containerd.sock",
        "            - name: runtime\n              mountPath: /run/k3s/containerd\n              readOnly: true",
        "        - name: runtime\n          hostPath:\n            path: /run/k3s/containerd\n            type: DirectoryOrCreate",
    ] {
        assert!(rendered.contains(lines), "{lines}\n{rendered}");
    }
    let cleanup = render(&[r#"mode="cleanup""#, r#"host.runtimeSocket="/run/a/b.sock""#]).unwrap();
    assert!(!cleanup.contains("/run/a"), "{cleanup}");
}

#[test]
fn it_is_good_style() {
    let output = helm(&["lint", "--strict", "chart"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn wrong_values_are_refused_by_name() {
    for (value, name) in [
        (r#"mode="off""#, "mode"),
        (r#"established="sometimes""#, "established"),
        (r#"unknownPods="deny""#, "unknownPods"),
        (r#"limits.podEntries=-1"#, "podEntries"),
        (r#"limits.podElements="2M""#, "podElements"),
        (r#"limits.nodeEntries=1"#, "nodeEntries"),
        (r#"http.port=0"#, "port"),
        (r#"http.port="9469""#, "port"),
        (r#"http.address="10.0.0.1""#, "address"),
        (r#"log.format="xml""#, "format"),
        (r#"log.verbosity=3"#, "verbosity"),
        (r#"host.podInterfaces=["bridge-of-16-bytes"]"#, "podInterfaces"),
        (r#"host.overlayPorts=[70000]"#, "overlayPorts"),
        (r#"host.cniDir="var/lib/cni""#, "cniDir"),
        (r#"host.cniDir="/var/../etc""#, "cniDir"),
        (r#"host.runtimeSocket="containerd.sock""#, "runtimeSocket"),
        (r#"host.runtimeSocket="auto""#, "runtimeSocket"),
        (r#"host.runtimeSocket="/containerd.sock""#, "runtimeSocket"),
        (r#"image.repository="Registry/Policyd""#, "repository"),
        (r#"image.tag="a b""#, "tag"),
        (r#"image.tagg="1""#, "tagg"),
        (r#"resources.requests.memory="lots""#, "memory"),
        (r#"update.maxUnavailable=0"#, "maxUnavailable"),
        (r#"update.maxUnavailable="120%""#, "maxUnavailable"),
        (r#"nodeselector={}"#, "nodeselector"),
        (r#"grafana.dashboard="yes""#, "dashboard"),
        (r#"extraArgs=["run"]"#, "extraArgs"),
    ] {
        let refused = render(&[value]).expect_err(value);
        assert!(refused.contains(name) && refused.contains("schema"), "{value}: {refused}");
    }
}

/// The arguments of each container in a rendered file: lists in one line, and lists of lines.
fn calls(rendered: &str) -> Vec<Vec<String>> {
    let plain = |argument: &str| argument.trim_matches('"').to_owned();
    let lines: Vec<&str> = rendered.lines().map(str::trim).collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| line.starts_with("args:"));
    let calls =
        starts.map(|(at, line)| match line.strip_prefix("args: [").and_then(|l| l.strip_suffix(']')) {
            Some(list) => list.split(", ").map(plain).collect(),
            None => lines[at + 1..].iter().map_while(|line| line.strip_prefix("- ")).map(plain).collect(),
        });
    calls.collect()
}

#[test]
fn policyd_takes_every_argument_that_the_chart_can_make() {
    let policyd = conformance::enforced::binary().unwrap();
    let install = calls(&render(&super::api::EVERYTHING).unwrap());
    let uninstall = calls(&render(&[r#"mode="cleanup""#]).unwrap());
    assert_eq!((install.len(), uninstall.len()), (2, 1), "{install:?} {uninstall:?}");
    for call in install.into_iter().chain(uninstall) {
        // The first that it does not know is the one that nobody knows.
        let output = Command::new(&policyd).args(&call).arg("--no-such-flag").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("'--no-such-flag'"), "{call:?}: {said}");
    }
}
