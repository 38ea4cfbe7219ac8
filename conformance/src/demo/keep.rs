//! A demo that stays up: how to look around in it, and the servers that answer there.

use super::{DemoError, screen::Screen, stage::Stage};
use crate::{
    lab::{LabError, Netns, Place},
    probe::Responder,
};
use std::path::PathBuf;

/// A lab that was left up, and what its servers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The lab's id, for [`ownership::remove`](crate::lab::ownership::remove).
    pub id: String,
    /// The hosts whose servers have to be started again: they end with the process that raised the lab.
    pub places: Vec<Place>,
    /// On which ports each of them answers.
    pub ports: Vec<u16>,
    /// The folder that both nodes enforce.
    pub folder: PathBuf,
}

/// Leaves the lab up.
pub(super) fn keep(stage: Stage) -> Result<Kept, DemoError> {
    let lab = stage.lab();
    let nodes = lab.nodes().iter().map(|node| Place::Node(node.index()));
    let pods = lab.pods();
    let places = nodes.chain([Place::Outside]).chain(pods.iter().map(Place::from)).collect();
    let ports = lab.ports().to_vec();
    let folder = stage.folder.root().to_owned();
    let id = stage.enforced.keep()?;
    Ok(Kept { id, places, ports, folder })
}

impl Kept {
    /// Says how to look around, and how to take it down.
    pub fn tell(&self, screen: &mut Screen<'_>) {
        let (id, folder) = (&self.id, self.folder.display());
        screen.heading(&format!("{id} stays up"));
        for (what, command) in [
            ("What a node enforces", format!("ip netns exec {id}-n2 nft list ruleset")),
            ("What policyd says", format!("tail -f {}", self.log(2).display())),
            ("Its metrics", format!("ip netns exec {id}-n2 curl -s localhost:9469/metrics")),
            ("Ask as a pod (an api, to the database; who answers says so)", ask(id, "shop-api-84bd-n3v6z")),
            ("Ask as one that may not (a front; silence for a second)", ask(id, "shop-front-58d6-w9q4m")),
            ("Change a policy: an editor, or", format!("rm {folder}/policy-shop-data.yaml")),
            ("Take it down", format!("cargo dev demo-down {id}")),
        ] {
            // Never cut off: these are to be copied.
            screen.line(format_args!("  {what}:\n    {command}"));
        }
    }

    fn log(&self, node: u8) -> PathBuf {
        self.folder.with_file_name(format!("n{node}")).join("policyd.log")
    }
}

/// A connection to the database from a pod, with nothing but a shell.
fn ask(id: &str, pod: &str) -> String {
    format!("ip netns exec {id}-p-{pod} timeout 1 bash -c 'head -1 < /dev/tcp/10.244.2.5/5432'")
}

/// Servers of a lab that was left up. They answer until this is dropped.
#[derive(Debug)]
pub struct Servers {
    _responder: Responder,
}

impl Servers {
    /// Opens them.
    ///
    /// # Errors
    /// [`LabError::Io`] if a namespace is not there or a port of it is taken.
    pub fn start(id: &str, places: &[Place], ports: &[u16]) -> Result<Self, LabError> {
        let responder = Responder::start()?;
        for place in places {
            let name = match place {
                Place::Node(node) => format!("{id}-n{node}"),
                Place::Outside => format!("{id}-out"),
                Place::Pod(key) => format!("{id}-p-{}-{}", key.namespace, key.name),
            };
            responder.serve(&Netns::new(name), place, ports)?;
        }
        Ok(Self { _responder: responder })
    }
}
