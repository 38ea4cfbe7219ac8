//! etcd's history, by its JSON gateway (`/v3/kv/…`).

use super::ClusterError;
use crate::lab::Netns;
use serde::Deserialize;
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// Where etcd listens, inside its namespace.
pub(super) const CLIENTS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 2379);

const RANGE: &str = "/v3/kv/range";
const COMPACTION: &str = "/v3/kv/compaction";

#[derive(Deserialize)]
struct Answer {
    header: Header,
}

#[derive(Deserialize)]
struct Header {
    /// A number in quotes, as protobuf's JSON has 64 bits.
    revision: String,
}

/// Forgets every revision but the newest. Whoever watches from an older one is told 410 Gone.
pub(super) fn compact(netns: &Netns) -> Result<u64, ClusterError> {
    // The key is "\0" in base64: any key will do, the header is what counts.
    let answer = post(netns, RANGE, r#"{"key": "AA==", "count_only": true}"#)?;
    let unexpected = |path, answer: &str| ClusterError::Etcd { path, answer: answer.to_owned() };
    let revision = serde_json::from_str::<Answer>(&answer).ok().and_then(|a| a.header.revision.parse().ok());
    let revision: u64 = revision.ok_or_else(|| unexpected(RANGE, &answer))?;
    let answer = post(netns, COMPACTION, &format!("{{\"revision\": \"{revision}\", \"physical\": true}}"))?;
    match serde_json::from_str::<Answer>(&answer) {
        Ok(_) => Ok(revision),
        Err(_) => Err(unexpected(COMPACTION, &answer)),
    }
}

fn post(netns: &Netns, path: &'static str, body: &str) -> Result<String, ClusterError> {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.0\r\nHost: etcd\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let answer = netns.enter(|| {
        let mut stream = TcpStream::connect_timeout(&CLIENTS, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    })?;
    let answer = answer.map_err(ClusterError::io(format!("etcd {path}")))?;
    Ok(answer.split_once("\r\n\r\n").map_or(answer.clone(), |(_, body)| body.to_owned()))
}
