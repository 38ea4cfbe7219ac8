//! The `policyd` of the nodes, and the ways to them.

use super::{
    Connection, LiveError, access, http,
    objects::{self, NODES, PODS},
};
use compiler::readback::Readback;
use futures_util::{StreamExt, stream};
use hyper::body::Bytes;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use policy_model::manifest::nearest;
use serde::de::DeserializeOwned;
use std::{fmt, sync::Arc, time::Duration};
use tokio::{net::TcpStream, runtime::Runtime, time::timeout};

/// Where policyd answers unless `--http` of its pod says otherwise.
const DEFAULT_PORT: u16 = 9469;
/// The label of its pods.
const SELECTOR: &str = "app.kubernetes.io/name=palisade";
/// Its container.
const CONTAINER: &str = "policyd";
/// How many nodes are asked at a time.
const AT_ONCE: usize = 8;
/// How long a node may take for its answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// One node's policyd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The node; `None` where only an address is known.
    pub node: Option<String>,
    /// How it is reached.
    pub at: Where,
}

/// How a policyd is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// Directly: `HOST:PORT`.
    Address(String),
    /// Through the API server, to the loopback device of its node.
    Pod {
        /// The pod's namespace.
        namespace: String,
        /// The pod's name.
        name: String,
        /// The port that it serves.
        port: u16,
    },
}

/// The node, or the address where its name is not known.
impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.node, &self.at) {
            (Some(node), _) => f.write_str(node),
            (None, Where::Address(address)) => f.write_str(address),
            (None, Where::Pod { namespace, name, .. }) => write!(f, "{namespace}/{name}"),
        }
    }
}

/// Those that can be asked.
#[derive(Debug)]
pub struct Agents {
    runtime: Arc<Runtime>,
    connection: Option<Arc<Connection>>,
    all: Vec<Agent>,
    /// Nodes on which no policyd runs.
    without: Vec<String>,
}

impl Agents {
    /// Those that somebody names: addresses as `NODE=HOST:PORT`, and one as `http://HOST:PORT`.
    ///
    /// # Errors
    /// Something that is no address, or nobody at all.
    pub fn named(addresses: &[String], url: Option<&str>) -> Result<Self, LiveError> {
        let mut all = Vec::new();
        for text in addresses {
            let wrong = |reason: &str| LiveError::Address {
                flag: "--address",
                text: text.clone(),
                reason: reason.to_owned(),
            };
            let (node, address) = text.split_once('=').ok_or_else(|| wrong("there is no = in it"))?;
            let at = Where::Address(host_and_port(address).map_err(wrong)?);
            all.push(Agent { node: Some(node.to_owned()), at });
        }
        if let Some(url) = url {
            let wrong = |reason: &str| LiveError::Address {
                flag: "--policyd",
                text: url.to_owned(),
                reason: reason.to_owned(),
            };
            let address = match url.split_once("://") {
                None => url,
                Some(("http", address)) => address.trim_end_matches('/'),
                Some(_) => return Err(wrong("policyd speaks http only")),
            };
            all.push(Agent { node: None, at: Where::Address(host_and_port(address).map_err(wrong)?) });
        }
        if all.is_empty() {
            return Err(LiveError::NoAgents);
        }
        Ok(Self { runtime: Arc::new(access::runtime()?), connection: None, all, without: Vec::new() })
    }

    /// Those whose pods run in the cluster.
    ///
    /// # Errors
    /// The API server does not list pods and nodes.
    pub fn of_cluster(connection: &Arc<Connection>) -> Result<Self, LiveError> {
        let (nodes, pods) = connection.wait(async {
            let pods = PODS.labelled(SELECTOR);
            Ok::<_, LiveError>((connection.list(&NODES).await?, connection.list(&pods).await?))
        })?;
        let mut all: Vec<Agent> =
            pods.items.iter().filter_map(|pod| agent(&serde_json::from_str(pod.get()).ok()?)).collect();
        all.sort_by(|a, b| a.node.cmp(&b.node));
        let name =
            |json: &str| serde_json::from_str::<objects::Named>(json).ok().map(|named| named.metadata.name);
        let has = |node: &String| all.iter().any(|agent| agent.node.as_ref() == Some(node));
        let without =
            nodes.items.iter().filter_map(|node| name(node.get())).filter(|node| !has(node)).collect();
        Ok(Self { runtime: connection.runtime(), connection: Some(connection.clone()), all, without })
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Agent] {
        &self.all
    }

    /// Nodes on which no policyd runs.
    #[must_use]
    pub fn without(&self) -> &[String] {
        &self.without
    }

    /// The one of a node.
    ///
    /// # Errors
    /// There is none.
    pub fn of_node(&self, node: &str) -> Result<&Agent, LiveError> {
        let unnamed = || self.all.iter().find(|agent| agent.node.is_none() && self.all.len() == 1);
        let found = self.all.iter().find(|agent| agent.node.as_deref() == Some(node)).or_else(unnamed);
        found.ok_or_else(|| {
            let known = self.all.iter().filter_map(|agent| agent.node.as_deref());
            let known = known.chain(self.without.iter().map(String::as_str));
            let meant = nearest(node, known).filter(|meant| *meant != node).map(str::to_owned);
            LiveError::NoAgent { node: node.to_owned(), meant }
        })
    }

    /// The one of a node, or all of them.
    ///
    /// # Errors
    /// As [`Self::of_node`].
    pub fn chosen(&self, node: Option<&str>) -> Result<Vec<&Agent>, LiveError> {
        match node {
            Some(node) => Ok(vec![self.of_node(node)?]),
            None => Ok(self.all.iter().collect()),
        }
    }

    /// What the kernels of some nodes hold, in the order in which they are given. `done` is told after each.
    pub fn kernels(&self, of: &[&Agent], done: impl FnMut()) -> Vec<Result<Readback, LiveError>> {
        self.ask(of, "/v1/kernel", done)
    }

    /// The same question to several, some at a time.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        of: &[&Agent],
        path: &str,
        mut done: impl FnMut(),
    ) -> Vec<Result<T, LiveError>> {
        let questions = of.iter().enumerate().map(|(index, agent)| async move {
            let unanswered = |reason| LiveError::Node { node: agent.to_string(), reason };
            let answer = match timeout(PATIENCE, self.get(agent, path)).await {
                Ok(answer) => answer.and_then(|body| {
                    let odd = |e| format!("its answer to {path} is not of this policyctl's version: {e}");
                    serde_json::from_slice(&body).map_err(odd)
                }),
                Err(_) => Err(format!("it does not answer within {} s", PATIENCE.as_secs())),
            };
            (index, answer.map_err(unanswered))
        });
        let mut answers = self.runtime.block_on(async {
            let mut answers = Vec::new();
            let mut asked = stream::iter(questions).buffer_unordered(AT_ONCE);
            while let Some(answer) = asked.next().await {
                answers.push(answer);
                done();
            }
            answers
        });
        answers.sort_by_key(|(index, _)| *index);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    async fn get(&self, agent: &Agent, path: &str) -> Result<Bytes, String> {
        match (&agent.at, &self.connection) {
            (Where::Address(address), _) => {
                let stream = TcpStream::connect(address).await.map_err(|e| format!("{address}: {e}"))?;
                http::get(stream, path).await
            }
            (Where::Pod { namespace, name, port }, Some(connection)) => {
                let pods: Api<Pod> = Api::namespaced(connection.client(), namespace);
                let mut forward = pods.portforward(name, &[*port]).await.map_err(|error| {
                    let error =
                        LiveError::of(error, connection.server(), "get and create", "pods/portforward");
                    match error.help() {
                        Some(help) => format!("{error} ({help})"),
                        None => error.to_string(),
                    }
                })?;
                let stream = forward.take_stream(*port).ok_or("the API server forwards no port")?;
                let refused = forward.take_error(*port);
                match http::get(stream, path).await {
                    Ok(body) => Ok(body),
                    // What the node's end says is the cause of what was seen at this end.
                    Err(error) => match refused {
                        Some(refused) => match timeout(Duration::from_secs(1), refused).await {
                            Ok(Some(reason)) if !reason.is_empty() => {
                                Err(format!("{namespace}/{name}: {reason}"))
                            }
                            _ => Err(error),
                        },
                        None => Err(error),
                    },
                }
            }
            (Where::Pod { .. }, None) => Err("there is no cluster to reach it through".to_owned()),
        }
    }
}

fn host_and_port(address: &str) -> Result<String, &'static str> {
    let (host, port) = address.rsplit_once(':').ok_or("there is no port in it")?;
    match port.parse::<u16>() {
        _ if host.is_empty() => Err("there is no host in it"),
        Ok(1..) => Ok(address.to_owned()),
        _ => Err("its port is no number from 1 to 65535"),
    }
}

/// A pod of Palisade's as an agent, if policyd runs in it.
fn agent(pod: &Pod) -> Option<Agent> {
    let spec = pod.spec.as_ref()?;
    let container = spec.containers.iter().find(|container| container.name == CONTAINER)?;
    if pod.status.as_ref()?.phase.as_deref() != Some("Running") {
        return None;
    }
    let words = container.command.iter().flatten().chain(container.args.iter().flatten());
    Some(Agent {
        node: Some(spec.node_name.clone()?),
        at: Where::Pod {
            namespace: pod.metadata.namespace.clone()?,
            name: pod.metadata.name.clone()?,
            port: http_port(words.map(String::as_str)).unwrap_or(DEFAULT_PORT),
        },
    })
}

/// The port that `--http` of policyd's arguments names.
fn http_port<'a>(words: impl Iterator<Item = &'a str>) -> Option<u16> {
    let words: Vec<&str> = words.collect();
    let joined = words.iter().find_map(|word| word.strip_prefix("--http="));
    let apart = words.iter().position(|word| *word == "--http").and_then(|at| words.get(at + 1).copied());
    joined.or(apart)?.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(change: impl FnOnce(&mut Value)) -> Pod {
        let mut pod = json!({
            "metadata": {"name": "palisade-x", "namespace": "palisade-system"},
            "spec": {"nodeName": "w1", "containers": [{"name": "policyd", "args": ["run", "--http=127.0.0.1:9999"]}]},
            "status": {"phase": "Running"},
        });
        change(&mut pod);
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn a_running_policyd_is_reached_at_the_port_of_its_arguments() {
        let port = |change: fn(&mut Value)| match agent(&pod(change)).map(|agent| agent.at) {
            Some(Where::Pod { port, .. }) => Some(port),
            _ => None,
        };
        assert_eq!(port(|_| {}), Some(9999));
        assert_eq!(
            port(|pod| pod["spec"]["containers"][0]["args"] = json!(["--http", "[::1]:80"])),
            Some(80)
        );
        assert_eq!(port(|pod| pod["spec"]["containers"][0]["args"] = json!(["run"])), Some(DEFAULT_PORT));
        assert_eq!(port(|pod| pod["status"]["phase"] = json!("Pending")), None);
        assert_eq!(port(|pod| pod["spec"]["containers"][0]["name"] = json!("other")), None);
    }

    #[test]
    fn addresses_are_checked() {
        let named = |addresses: &[&str], url| {
            let addresses: Vec<String> = addresses.iter().map(|&address| address.to_owned()).collect();
            Agents::named(&addresses, url).map(|agents| agents.all).map_err(|error| error.to_string())
        };
        let two = named(&["w1=10.0.0.1:9469"], Some("http://localhost:9469/")).unwrap();
        assert_eq!(two[0].to_string(), "w1");
        assert_eq!(two[1].to_string(), "localhost:9469");
        assert_eq!(
            named(&[], Some("https://a:1")).unwrap_err(),
            "--policyd https://a:1: policyd speaks http only"
        );
        assert_eq!(
            named(&["10.0.0.1:9469"], None).unwrap_err(),
            "--address 10.0.0.1:9469: there is no = in it"
        );
        assert_eq!(
            named(&["w1=host:http"], None).unwrap_err(),
            "--address w1=host:http: its port is no number from 1 to 65535"
        );
        assert!(named(&[], None).is_err());
    }
}
