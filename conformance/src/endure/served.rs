//! A real API server that holds the state of a run, and what becomes of it.

use super::{between, error::EndureError, round::ServerFault};
use crate::{
    cluster::{ApiServer, Identity},
    enforced::Manifests,
    lab::Lab,
};
use policy_model::{
    cluster::{Change, Cluster},
    object::ObjectKey,
};
use std::{path::PathBuf, thread};

/// The API server, and what was last put into it.
#[derive(Debug)]
pub(super) struct Served {
    server: ApiServer,
    holds: Cluster,
}

impl Served {
    /// One that every node of the lab reaches and that holds nothing of ours, and the kubeconfig for it.
    pub(super) fn start(lab: &Lab) -> Result<(Self, PathBuf), EndureError> {
        let server = ApiServer::start("endure api")?;
        for node in lab.nodes() {
            server.link(node.netns(), node.index())?;
        }
        let kubeconfig = server.kubeconfig(Identity::ADMIN)?;
        Ok((Self { server, holds: Cluster::new() }, kubeconfig))
    }

    /// Brings it to a state, object by object.
    pub(super) fn put(&mut self, state: &Cluster) -> Result<(), EndureError> {
        let [mut created, mut changed, mut running] = [const { Vec::new() }; 3];
        for change in between::changes(&self.holds, state) {
            match change {
                Change::PodDeleted(key) => self.delete("pod", &key)?,
                Change::PolicyDeleted(key) => self.delete("networkpolicy", &key)?,
                Change::Pod(pod) => {
                    let another = between::is_another(&self.holds, state, &pod.key);
                    let old = self.holds.pod(&pod.key).filter(|_| !another);
                    if another {
                        self.delete("pod", &pod.key)?;
                    }
                    if !pod.ips.is_empty() && old.is_none_or(|old| old.ips.is_empty()) {
                        running.push(Change::Pod(pod.clone()));
                    }
                    let to = if old.is_some() { &mut changed } else { &mut created };
                    to.push(Change::Pod(pod));
                }
                Change::Namespace(namespace) if self.holds.namespace(&namespace.name).is_some() => {
                    changed.push(Change::Namespace(namespace));
                }
                Change::Policy(policy) if self.holds.policy(&policy.key).is_some() => {
                    changed.push(Change::Policy(policy));
                }
                other => created.push(other),
            }
        }
        self.send(&["create", "--filename", "-"], created)?;
        self.send(&["replace", "--filename", "-"], changed)?;
        self.send(&["replace", "--subresource=status", "--filename", "-"], running)?;
        self.holds = state.clone();
        Ok(())
    }

    fn delete(&self, kind: &str, key: &ObjectKey) -> Result<(), EndureError> {
        let at_once = ["--grace-period=0", "--force"];
        let at_once = if kind == "pod" { &at_once[..] } else { &[] };
        let what = ["delete", kind, "--namespace", &key.namespace, &key.name];
        self.server.kubectl(&[&what, at_once].concat(), "")?;
        Ok(())
    }

    fn send(&self, verb: &[&str], objects: Vec<Change>) -> Result<(), EndureError> {
        if !objects.is_empty() {
            let mut part = Cluster::new();
            objects.into_iter().for_each(|object| part.apply(object));
            self.server.kubectl(verb, &Manifests::of(&part).list().to_string())?;
        }
        Ok(())
    }

    /// Lets something befall it, and does `change` where that can be done: before it goes away, or while nobody hears of it; and
    /// `meanwhile` before it is back.
    pub(super) fn inflict(
        &mut self,
        fault: ServerFault,
        state: &Cluster,
        meanwhile: &mut dyn FnMut() -> Result<(), EndureError>,
    ) -> Result<(), EndureError> {
        match fault {
            ServerFault::Killed(time) => {
                self.put(state)?;
                self.server.kill();
                meanwhile()?;
                thread::sleep(time);
                self.server.resume()?;
            }
            ServerFault::Silent(time) => {
                self.put(state)?;
                self.server.pause();
                // Whatever comes of it: it must run again.
                let done = meanwhile();
                thread::sleep(time);
                self.server.go_on();
                done?;
            }
            ServerFault::CutOff(node, time) => {
                self.server.set_link(node, false)?;
                self.put(state)?;
                meanwhile()?;
                thread::sleep(time);
                self.server.set_link(node, true)?;
            }
            ServerFault::Forgotten => {
                // The nodes stand still: what changes now they can only learn from a new list.
                self.put(state)?;
                self.server.compact()?;
                self.server.restart()?;
            }
        }
        Ok(())
    }
}
