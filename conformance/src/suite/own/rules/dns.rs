//! Names, where nothing but the name service may be asked.

use super::super::case::{Fault, wrong};
use super::{
    cells::{Cells, ECHO, tcp, udp},
    scene::{CLIENTS, SERVERS, Scene},
};
use crate::{cluster::ClusterError, lab::Netns};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Duration,
};

const PORT: u16 = 53;
const PATIENCE: Duration = Duration::from_secs(2);
/// What every cluster has a Service of.
const NAME: &str = "kubernetes.default.svc.cluster.local";

const TO_DNS: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: clients}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress:
    - to:
        - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
          podSelector: {matchLabels: {k8s-app: kube-dns}}
      ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
";
/// The same with another port.
const NOT_TO_DNS: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: clients}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress: [{ports: [{port: 5353, protocol: UDP}]}]
";

pub(super) fn alone(scene: &mut Scene) -> Result<String, Fault> {
    let mut cells = Cells::of(scene);
    for client in CLIENTS {
        for server in SERVERS {
            cells.shut(client, server, &[tcp(7000), udp(7000), ECHO])?;
        }
    }
    cells.require("without a policy", |cell| cell.alone)?;
    let answered = |count: usize| {
        let mut error = String::new();
        let is_so = &mut || {
            let found: Vec<_> =
                CLIENTS.iter().map(|client| resolves(scene, client)).collect::<Result<_, _>>()?;
            let found = found.concat();
            error = found
                .iter()
                .filter_map(|found| found.as_ref().err())
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            Ok(found.iter().filter(|found| found.is_ok()).count() == count)
        };
        match scene.within_patience(is_so)? {
            true => Ok(()),
            false => wrong(format!("{count} of {} questions should be answered: {error}", 2 * CLIENTS.len())),
        }
    };
    answered(4)?;
    let found = scene.apply(NOT_TO_DNS).and_then(|()| answered(0)).and_then(|()| {
        scene.clear()?;
        scene.apply(TO_DNS)?;
        cells.require("under the policy", |cell| cell.judged)?;
        answered(4)
    });
    scene.clear()?;
    found?;
    cells.require("once the policy is deleted", |cell| cell.alone)?;
    Ok("4 names by UDP and TCP, from CoreDNS' node and from others; none where another port is permitted"
        .to_owned())
}

/// Asks by UDP and by TCP for the address of the API server's Service.
fn resolves(scene: &Scene, from: &str) -> Result<Vec<Result<(), String>>, Fault> {
    let netns = scene.netns_of(from)?;
    let path = "jsonpath={.spec.clusterIP}";
    let expected = scene.cluster().kubectl(&["get", "service", "kubernetes", "-n", "default", "-o", path])?;
    let expected: Option<IpAddr> = expected.parse().ok();
    let server = SocketAddr::new(scene.cluster().dns_service(), PORT);
    let mut results = Vec::new();
    for (protocol, answer) in [("UDP", by_udp(&netns, server)?), ("TCP", by_tcp(&netns, server)?)] {
        results.push(match answer {
            Ok(answer) if address(&answer) == expected && expected.is_some() => Ok(()),
            Ok(answer) => Err(format!("{from} by {protocol}: {answer:02x?}")),
            Err(error) => Err(format!("{from} by {protocol}: {error}")),
        });
    }
    Ok(results)
}

/// A question for an A record (RFC 1035, 4.1).
fn question() -> Vec<u8> {
    let mut message = vec![0x70, 0x61, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in NAME.split('.') {
        message.push(u8::try_from(label.len()).unwrap_or_default());
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// The address of an answer that is one A record: its last four bytes.
fn address(answer: &[u8]) -> Option<IpAddr> {
    let header: &[u8; 12] = answer.first_chunk()?;
    // One answer and nothing after it, without an error.
    let is_one = header[..2] == [0x70, 0x61] && header[3] & 15 == 0 && header[6..] == [0, 1, 0, 0, 0, 0];
    let record: &[u8; 6] = answer.last_chunk()?;
    (is_one && record[..2] == [0, 4]).then(|| IpAddr::from([record[2], record[3], record[4], record[5]]))
}

fn by_udp(netns: &Netns, server: SocketAddr) -> Result<io::Result<Vec<u8>>, ClusterError> {
    let asked = netns.enter(|| {
        let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(server)?;
        socket.send(&question())?;
        let mut buffer = vec![0; 512];
        let length = socket.recv(&mut buffer)?;
        buffer.truncate(length);
        Ok(buffer)
    });
    Ok(asked?)
}

fn by_tcp(netns: &Netns, server: SocketAddr) -> Result<io::Result<Vec<u8>>, ClusterError> {
    let asked = netns.enter(|| {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, Some(Protocol::TCP))?;
        socket.connect_timeout(&server.into(), PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let question = question();
        let length = u16::try_from(question.len()).unwrap_or_default().to_be_bytes();
        (&socket).write_all(&[&length[..], &question].concat())?;
        let mut length = [0; 2];
        (&socket).read_exact(&mut length)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        (&socket).read_exact(&mut answer)?;
        Ok(answer)
    });
    Ok(asked?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_from_one_record_without_an_error_alone() {
        let mut answer = question();
        answer[2..4].copy_from_slice(&[0x85, 0x80]);
        answer[7] = 1;
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 10, 96, 0, 1]);
        assert_eq!(address(&answer), Some(IpAddr::from([10, 96, 0, 1])));
        let mut refused = answer.clone();
        refused[3] = 0x83;
        assert_eq!(address(&refused), None);
        assert_eq!(address(&question()), None);
    }
}
