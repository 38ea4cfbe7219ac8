//! The files that a node's CNI plugins leave behind, as `policyd` finds them on a real node.
//!
//! Source: containernetworking/cni v1.3 `libcni/api.go` (result cache), containernetworking/plugins v1.9
//! `plugins/ipam/host-local` (leases), flannel cni-plugin v1.9 (scratch file), containerd 1.7 (CNI arguments, loopback).

use super::{Family, LabError, Pod, addresses};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    net::IpAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Makes a node's empty folders.
pub(crate) fn prepare(dir: &Path) -> Result<(), LabError> {
    for (folder, mode) in [("results", 0o700), ("networks/cbr0", 0o755), ("flannel", 0o700)] {
        let folder = dir.join(folder);
        DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(&folder)
            .map_err(LabError::io(folder.display().to_string()))?;
    }
    // host-local flocks this file at each reservation; only its being there matters to a reader.
    write(&dir.join("networks/cbr0/lock"), "")
}

/// ADD, first part: the scratch file, and the leases, before the address is on `eth0`.
pub(crate) fn write_leases(dir: &Path, pod: &Pod) -> Result<(), LabError> {
    let delegate = json!({
        "cniVersion": "1.0.0", "hairpinMode": true, "isDefaultGateway": true, "isGateway": true, "mtu": 1450,
        "ipMasq": false, "name": "cbr0", "type": "bridge",
        "ipam": { "type": "host-local", "routes": [{ "dst": addresses::PODS4 }, { "dst": addresses::PODS6 }],
            "ranges": [[{ "subnet": format!("{}/24", addresses::pod4(pod.node(), 0)) }],
                [{ "subnet": format!("{}/64", addresses::pod6(pod.node(), 0)) }]] },
    });
    write(&scratch(dir, pod), &delegate.to_string())?;
    for (i, address) in pod.addresses().enumerate() {
        write(&lease(dir, address), &format!("{}\r\neth0", pod.container_id()))?;
        write(&dir.join(format!("networks/cbr0/last_reserved_ip.{i}")), &address.to_string())?;
    }
    Ok(())
}

/// ADD, last part: the result cache, after the network is up and before any process of the pod runs.
pub(crate) fn write_results(dir: &Path, pod: &Pod, gateway_mac: &str) -> Result<(), LabError> {
    let loopback = json!({ "cniVersion": "0.3.1", "interfaces": [
        { "name": "lo", "mac": "00:00:00:00:00:00", "sandbox": pod.netns().path() }],
        "ips": [{ "version": "4", "address": "127.0.0.1/8", "interface": 0 },
            { "version": "6", "address": "::1/128", "interface": 0 }], "dns": {} });
    let loopback = entry(pod, "cni-loopback", "lo", &loopback);
    write(&dir.join(format!("results/cni-loopback-{}-lo", pod.container_id())), &loopback.to_string())?;

    let parts = |f: &Family| match f {
        Family::V4 => (addresses::pod4(pod.node(), 1).to_string(), 24, addresses::PODS4, "0.0.0.0/0"),
        Family::V6 => (addresses::pod6(pod.node(), 1).to_string(), 64, addresses::PODS6, "::/0"),
    };
    let ips: Vec<Value> = pod
        .families()
        .iter()
        .map(|f| {
            let (gateway, length, ..) = parts(f);
            json!({ "address": format!("{}/{length}", pod.address(*f)), "gateway": gateway, "interface": 2 })
        })
        .collect();
    let routes: Vec<Value> = pod
        .families()
        .iter()
        .flat_map(|f| {
            let (gateway, _, pods, all) = parts(f);
            [json!({ "dst": pods }), json!({ "dst": all, "gw": gateway })]
        })
        .collect();
    let result = json!({
        "cniVersion": "1.0.0",
        "interfaces": [
            { "name": "cni0", "mac": gateway_mac },
            { "name": pod.host_veth(), "mac": pod.host_mac() },
            { "name": "eth0", "mac": pod.mac(), "sandbox": pod.netns().path() },
        ],
        "ips": ips,
        "routes": routes,
        "dns": {},
    });
    write(&cache(dir, pod), &entry(pod, "cbr0", "eth0", &result).to_string())
}

/// DEL: leases, scratch file, caches, in this order. `unplug` removes the veth, which the bridge plugin does right
/// after the leases.
pub(crate) fn remove(
    dir: &Path,
    pod: &Pod,
    unplug: impl FnOnce() -> Result<(), LabError>,
) -> Result<(), LabError> {
    for address in pod.addresses() {
        delete(&lease(dir, address))?;
    }
    unplug()?;
    delete(&scratch(dir, pod))?;
    delete(&cache(dir, pod))?;
    delete(&dir.join(format!("results/cni-loopback-{}-lo", pod.container_id())))
}

fn entry(pod: &Pod, network: &str, interface: &str, result: &Value) -> Value {
    let config = json!({ "name": network, "cniVersion": "1.0.0", "plugins": [
        { "type": "flannel", "delegate": { "hairpinMode": true, "isDefaultGateway": true } },
        { "type": "portmap", "capabilities": { "portMappings": true } }] });
    let mappings: Vec<Value> = pod
        .host_ports()
        .iter()
        .map(|p| {
            let protocol = p.protocol.name().to_lowercase();
            json!({ "hostPort": p.host_port, "containerPort": p.container_port, "protocol": protocol })
        })
        .collect();
    json!({
        "kind": "cniCacheV1",
        "containerId": pod.container_id(),
        "config": BASE64_STANDARD.encode(config.to_string()),
        "ifName": interface,
        "networkName": network,
        "netns": pod.netns().path(),
        "cniArgs": [
            ["K8S_POD_INFRA_CONTAINER_ID", pod.container_id()],
            ["K8S_POD_UID", pod.uid()],
            ["IgnoreUnknown", "1"],
            ["K8S_POD_NAMESPACE", &*pod.key().namespace],
            ["K8S_POD_NAME", &*pod.key().name],
        ],
        "capabilityArgs": { "dns": {}, "io.kubernetes.cri.pod-annotations": {}, "portMappings": mappings },
        "result": result,
    })
}

fn lease(dir: &Path, address: IpAddr) -> PathBuf {
    dir.join(format!("networks/cbr0/{address}"))
}

fn scratch(dir: &Path, pod: &Pod) -> PathBuf {
    dir.join("flannel").join(pod.container_id())
}

fn cache(dir: &Path, pod: &Pod) -> PathBuf {
    dir.join(format!("results/cbr0-{}-eth0", pod.container_id()))
}

/// Plain open, write, close, as the plugins do: a watcher may see the file empty for a moment.
fn write(path: &Path, text: &str) -> Result<(), LabError> {
    OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut f| f.write_all(text.as_bytes()))
        .map_err(LabError::io(path.display().to_string()))
}

fn delete(path: &Path) -> Result<(), LabError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(LabError::io(path.display().to_string())(e)),
        _ => Ok(()),
    }
}
