//! The API server over plain HTTP, by `kubectl proxy`: a request without the start of a program.

use crate::{
    cluster::{Cluster, ClusterError},
    lab::{LabError, Netns},
};
use serde_json::Value;
use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

/// In the control plane's namespace, where nothing else listens.
const PORT: u16 = 8001;
const PATIENCE: Duration = Duration::from_secs(30);

/// A running proxy. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Proxy {
    netns: Netns,
    child: Child,
}

impl Proxy {
    pub(super) fn start(cluster: &Cluster) -> Result<Self, ClusterError> {
        let netns = cluster.control_plane().clone();
        let mut command = netns.command(&cluster.program("kubectl").to_string_lossy());
        command
            .arg(format!("--kubeconfig={}", cluster.kubeconfig().display()))
            .args(["proxy", &format!("--port={PORT}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().map_err(ClusterError::io("kubectl proxy"))?;
        let this = Self { netns, child };
        let begin = Instant::now();
        while let Err(error) = this.ask("GET", "/readyz", None) {
            if begin.elapsed() > PATIENCE {
                return Err(error);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(this)
    }

    /// Sends a request and gives the answer's body.
    ///
    /// # Errors
    /// The API server does not say 2xx.
    pub(super) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<String, ClusterError> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let length = body.len();
        // In this version of HTTP the answer ends with its connection.
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let what = || ClusterError::io(format!("{method} {path} through kubectl proxy"));
        let answer = self.netns.enter(|| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
            let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok::<_, io::Error>(answer)
        })?;
        let answer = answer.map_err(what())?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        match head.split(' ').nth(1) {
            Some(status) if status.starts_with('2') => Ok(body.to_owned()),
            _ => {
                Err(LabError::Command { command: format!("{method} {path}"), message: answer.clone() }.into())
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
