//! Whether another engine runs on this node, by what can be seen from here. In a pod the node's processes are hidden, so its
//! sockets count too: those of the network namespace that is shared with the node.

use super::Engine;
use std::{fs, path::Path};

/// Where kube-router answers for its health (`--health-port`).
const KUBE_ROUTER_HEALTH: u16 = 20244;
/// The queue of packets that kube-network-policies reads (`--nfqueue-id`).
const QUEUE: &str = "100";
/// A socket that listens, in `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// The signs of it; none where there are none.
pub(super) fn signs(engine: Engine) -> Vec<String> {
    let mut signs = Vec::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    if let Some(found) = processes.map(|entry| entry.path()).find(|path| is_it(path, engine)) {
        signs.push(format!("process {}", found.file_name().unwrap_or_default().to_string_lossy()));
    }
    match engine {
        Engine::KubeRouter => {
            let tables =
                ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
            if tables.iter().any(|table| listens(table, KUBE_ROUTER_HEALTH)) {
                signs.push(format!("somebody listens at port {KUBE_ROUTER_HEALTH}, which is its"));
            }
        }
        Engine::KubeNetworkPolicies => {
            let queues = fs::read_to_string("/proc/net/netfilter/nfnetlink_queue").unwrap_or_default();
            if queues.lines().any(|line| line.split_whitespace().next() == Some(QUEUE)) {
                signs.push(format!("somebody reads packets of queue {QUEUE}, which is its"));
            }
        }
    }
    signs
}

/// Whether a process is the engine's, on this node: a machine may have several.
fn is_it(process: &Path, engine: Engine) -> bool {
    let is_named_so =
        fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim_end() == engine.process());
    let network = |process: &Path| fs::read_link(process.join("ns/net")).ok();
    // One that cannot be asked may be.
    is_named_so && network(process).is_none_or(|its| Some(its) == network(Path::new("/proc/self")))
}

/// Whether a socket of the table listens at a port: columns are a number, the local address with the port in hexadecimal, the
/// remote one, the state.
fn listens(table: &str, port: u16) -> bool {
    let ending = format!(":{port:04X}");
    table.lines().any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        columns.next().is_some_and(|local| local.ends_with(&ending)) && columns.nth(1) == Some(LISTENS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_listens_is_told_from_a_connection_from_the_port() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
            0: 00000000:4F14 00000000:0000 0A 00000000:00000000\n\
            1: 0100007F:2348 0100007F:9C40 01 00000000:00000000\n";
        assert!(listens(table, 0x4f14));
        assert!(!listens(table, 0x2348), "established");
        assert!(!listens(table, 0x9c40), "the other end's");
    }
}
