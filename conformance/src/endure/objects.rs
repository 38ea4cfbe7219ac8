//! Objects that change, in the folder or the API server that the daemons follow.

use super::{
    between,
    error::EndureError,
    fault,
    round::{Change, Fault, ServerFault},
    tally::Tally,
    world::{self, World},
};
use crate::{
    enforced::Manifests,
    lab::PodSpec,
    random::{Draw, NODES, PODS},
};
use policy_model::{cluster::Cluster, object::Pod};
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

/// How long a node may take to follow an API server that was away: who asks it anew waits up to 15 s and half of that again.
const PATIENCE: Duration = Duration::from_secs(60);

impl World {
    /// The state after some changes. By an API server only so many objects change in one round that what lies in between can be said.
    fn changed(&self, changes: &[Change], draw: &mut Draw) -> Cluster {
        let mut cluster = self.cluster.clone();
        for change in changes {
            let last = cluster.clone();
            change.apply(draw, &mut cluster);
            if self.is_served() {
                between::admit(&self.cluster, &mut cluster);
                if between::changes(&self.cluster, &cluster).len() > between::MOST {
                    return last;
                }
            }
        }
        cluster
    }

    pub(super) fn change(&mut self, changes: &[Change], draw: &mut Draw) -> Result<(), EndureError> {
        self.cluster = self.changed(changes, draw);
        self.publish()
    }

    /// Hands the present state to the daemons' source. With an API server the folder has what they must come to.
    fn publish(&mut self) -> Result<(), EndureError> {
        if let Some(served) = &mut self.served {
            served.put(&self.cluster)?;
        }
        Ok(Manifests::of(&self.cluster).write(self.enforced.folder())?)
    }

    /// Lets objects change around a fault of the API server, in which a node's may come.
    pub(super) fn befall(
        &mut self,
        changes: &[Change],
        server: ServerFault,
        fault: Option<Fault>,
        draw: &mut Draw,
        tally: &mut Tally,
    ) -> Result<(), EndureError> {
        self.cluster = self.changed(changes, draw);
        let Some(mut served) = self.served.take() else { return Ok(()) };
        let state = self.cluster.clone();
        let done = if server == ServerFault::Forgotten {
            // Whatever comes of it, they go on.
            fault::frozen(self.enforced.daemon(1), || {
                fault::frozen(self.enforced.daemon(2), || served.inflict(server, &state, &mut || Ok(())))
            })
        } else {
            served.inflict(server, &state, &mut || {
                let Some(fault) = fault else { return Ok(()) };
                self.inflict(fault, draw, tally)?;
                self.repaired(fault, tally)
            })
        };
        self.served = Some(served);
        done?;
        Manifests::of(&self.cluster).write(self.enforced.folder())?;
        self.followed()
    }

    /// Waits until each kernel is what the present state would be compiled to from nothing.
    pub(super) fn followed(&mut self) -> Result<(), EndureError> {
        for node in 1..=NODES {
            let since = Instant::now();
            while let Some(operations) = self.enforced.daemon(node).difference_from(self.enforced.folder())? {
                if since.elapsed() > PATIENCE {
                    let seconds = PATIENCE.as_secs();
                    return Err(EndureError::NotFollowed { node, operations, seconds });
                }
            }
        }
        Ok(())
    }

    /// Pods whose streams have ended do, and others start.
    pub(super) fn replace(&mut self, pods: &[usize], draw: &mut Draw) -> Result<(), EndureError> {
        let mut specs = Vec::new();
        for (index, &pod) in pods.iter().enumerate() {
            let next = world::key(pods[(index + 1) % pods.len()]);
            let next = self.cluster.pod(&next).map(|pod| pod.ips.to_vec()).unwrap_or_default();
            let (namespace, name, node) = PODS[pod];
            let mut spec = PodSpec::new(node, namespace, name);
            for address in &next {
                spec = match address {
                    IpAddr::V4(v4) => spec.ipv4(*v4),
                    IpAddr::V6(v6) => spec.ipv6(*v6),
                };
            }
            specs.push((spec, draw.pod(world::key(pod), node, next)));
        }
        for &pod in pods {
            self.enforced.lab().delete_pod(&world::key(pod))?;
        }
        // Bound to its node, without an address.
        let mut cluster = self.cluster.clone();
        for (_, pod) in &specs {
            cluster.insert_pod(Pod { ips: [].into_iter().collect(), ..pod.clone() });
        }
        self.put(cluster)?;
        let (specs, objects): (Vec<_>, Vec<_>) = specs.into_iter().unzip();
        let started = self.enforced.lab().start_pods(&specs)?;
        for &pod in pods {
            world::open(&self.streams, self.enforced.lab(), pod)?;
        }
        for pod in &started {
            self.enforced.lab().finish_pod(pod)?;
        }
        let mut cluster = self.cluster.clone();
        objects.into_iter().for_each(|pod| cluster.insert_pod(pod));
        self.put(cluster)
    }

    /// Writes a state and waits until every node has read it.
    pub(super) fn put(&mut self, mut cluster: Cluster) -> Result<(), EndureError> {
        let reads = self.reads();
        if self.is_served() {
            between::admit(&self.cluster, &mut cluster);
        }
        self.cluster = cluster;
        self.publish()?;
        self.wait_until_read(&reads, None)
    }
}
