//! A lab that is up.

use super::{
    Family, LabBuilder, LabError, Netns, Node, Place, Pod, PodSpec, Service, announce::announce,
    builder::in_parallel, cni_files, netns::HOST, ownership::Claim, shell,
};
use crate::probe::{self, Probe, Reply, Responder};
use policy_model::object::ObjectKey;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A cluster that is up. It may be used from several threads at once. Dropping it removes everything it made.
///
/// Do not hold one in a `static`: those are never dropped. It would go only when the process ends.
#[derive(Debug)]
pub struct Lab {
    // Dropped in this order: sockets close before the claim removes their namespaces.
    responder: Responder,
    pods: Mutex<BTreeMap<ObjectKey, Arc<Pod>>>,
    nodes: Vec<Node>,
    outside: Netns,
    services: Mutex<Vec<Service>>,
    ports: Vec<u16>,
    claim: Claim,
}

impl Lab {
    /// Begins a lab called after `test`: its namespaces are `pal-<test>-<six digits>-…`.
    #[must_use]
    pub fn builder(test: &str) -> LabBuilder {
        LabBuilder::new(test)
    }

    pub(crate) fn new(
        claim: Claim,
        responder: Responder,
        nodes: Vec<Node>,
        outside: Netns,
        ports: Vec<u16>,
    ) -> Result<Self, LabError> {
        let lab = Self {
            responder,
            pods: Mutex::default(),
            nodes,
            outside,
            services: Mutex::default(),
            ports,
            claim,
        };
        for node in &lab.nodes {
            lab.responder.serve(node.netns(), &Place::Node(node.index()), &lab.ports)?;
        }
        lab.responder.serve(&lab.outside, &Place::Outside, &lab.ports)?;
        Ok(lab)
    }

    /// The lab's id: the prefix of its namespaces and the name of its folder under
    /// [`STATE_DIR`](super::ownership::STATE_DIR).
    #[must_use]
    pub fn id(&self) -> &str {
        self.claim.id()
    }

    /// The nodes in order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Node `index`, counted from 1.
    ///
    /// # Panics
    /// If the lab has no such node.
    #[must_use]
    pub fn node(&self, index: u8) -> &Node {
        &self.nodes[usize::from(index) - 1]
    }

    /// The ports on which every host answers unless its own list says otherwise.
    #[must_use]
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// The namespace of the outside host.
    #[must_use]
    pub fn outside(&self) -> &Netns {
        &self.outside
    }

    /// The pods that are up, by namespace and name.
    #[must_use]
    pub fn pods(&self) -> Vec<Arc<Pod>> {
        self.lock().values().cloned().collect()
    }

    /// A pod that is up.
    #[must_use]
    pub fn pod(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        self.lock().get(&ObjectKey::new(namespace, name)).cloned()
    }

    /// The network namespace of a place.
    ///
    /// # Errors
    /// [`LabError::Unknown`] if the lab has no such pod or node.
    pub fn netns(&self, place: impl Into<Place>) -> Result<Netns, LabError> {
        let place = place.into();
        let found = match &place {
            Place::Node(n) => {
                self.nodes.iter().find(|node| node.index() == *n).map(|node| node.netns().clone())
            }
            Place::Pod(key) => self.lock().get(key).map(|pod| pod.netns().clone()),
            Place::Outside => Some(self.outside.clone()),
        };
        found.ok_or_else(|| LabError::Unknown(place.to_string()))
    }

    /// Runs a program in a place and gives its standard output.
    ///
    /// # Errors
    /// [`LabError::Unknown`], or [`LabError::Command`] with its standard error if it does not exit with 0.
    pub fn exec(&self, place: impl Into<Place>, argv: &[&str]) -> Result<String, LabError> {
        self.netns(place)?.exec(argv)
    }

    /// Loads nftables text on a node, as `nft -f` does.
    ///
    /// # Errors
    /// [`LabError::Command`] with nft's own message.
    pub fn nft(&self, node: u8, text: &str) -> Result<(), LabError> {
        self.netns(Place::Node(node))?.nft(text)
    }

    /// Starts a pod, as kubelet, containerd and the CNI plugins do, and waits until it answers.
    ///
    /// # Errors
    /// [`LabError::Invalid`] if the name or an address is taken, and what the system says.
    pub fn add_pod(&self, spec: PodSpec) -> Result<Arc<Pod>, LabError> {
        let mut pods = self.add_pods(&[spec])?;
        pods.pop().ok_or_else(|| LabError::Invalid("no pod was made".to_owned()))
    }

    /// Starts several pods together, which is faster than one after the other.
    ///
    /// # Errors
    /// As [`Lab::add_pod`]. Pods that were made before the error stay.
    pub fn add_pods(&self, specs: &[PodSpec]) -> Result<Vec<Arc<Pod>>, LabError> {
        let pods = self.start_pods(specs)?;
        pods.iter().try_for_each(|pod| self.finish_pod(pod))?;
        Ok(pods)
    }

    /// As [`Lab::add_pods`], up to the last step of CNI ADD: the pods have leases, addresses and open servers, but the
    /// result cache does not name them yet. [`Lab::finish_pod`] is that last step.
    ///
    /// # Errors
    /// As [`Lab::add_pod`].
    pub fn start_pods(&self, specs: &[PodSpec]) -> Result<Vec<Arc<Pod>>, LabError> {
        let pods: Vec<(Arc<Pod>, &PodSpec)> =
            specs.iter().map(|spec| Ok((self.claim_pod(spec)?, spec))).collect::<Result<_, LabError>>()?;
        let names = pods.iter().map(|(pod, _)| format!("netns add {}\n", pod.netns().name()));
        shell::ip_batch(&names.collect::<String>())?;
        in_parallel(&pods, |(pod, _)| pod.netns().sysctl(&HOST))?;
        for node in &self.nodes {
            let own: Vec<_> = pods.iter().filter(|(pod, _)| pod.node() == node.index()).collect();
            if own.is_empty() {
                continue;
            }
            let mut lines = String::new();
            for (pod, _) in &own {
                pod.host_links(&mut lines).ok();
                cni_files::write_leases(&node.cni_dir(), pod)?;
            }
            shell::ip_batch_in(node.netns().name(), &lines)?;
        }
        in_parallel(&pods, |(pod, spec)| {
            let node = self.node(pod.node());
            pod.configure()?;
            pod.netns().wait_until_running(&["eth0"])?;
            node.netns().wait_until_running(&["cni0", pod.host_veth()])?;
            announce(self, pod)?;
            self.responder.serve(pod.netns(), &Place::from(pod), spec.ports.as_deref().unwrap_or(&self.ports))
        })?;
        let pods: Vec<_> = pods.into_iter().map(|(pod, _)| pod).collect();
        self.follow_pods(&pods)?;
        Ok(pods)
    }

    /// Writes the result cache of a pod that [`Lab::start_pods`] started.
    ///
    /// # Errors
    /// [`LabError::Io`] if it cannot be written.
    pub fn finish_pod(&self, pod: &Pod) -> Result<(), LabError> {
        let node = self.node(pod.node());
        cni_files::write_results(&node.cni_dir(), pod, node.bridge_mac())
    }

    /// Reserves name and addresses.
    fn claim_pod(&self, spec: &PodSpec) -> Result<Arc<Pod>, LabError> {
        let mut pods = self.lock();
        if pods.contains_key(&spec.key) {
            return Err(LabError::Invalid(format!("pod {} is there already", spec.key)));
        }
        let Some(node) = self.nodes.iter().find(|n| n.index() == spec.node) else {
            return Err(LabError::Unknown(format!("node {} of pod {}", spec.node, spec.key)));
        };
        let (ipv4, ipv6) = node.addresses().reserve(spec.node, spec.ipv4, spec.ipv6)?;
        let pod = Arc::new(Pod::plan(self.claim.id(), spec, ipv4, ipv6)?);
        pods.insert(spec.key.clone(), pod.clone());
        Ok(pod)
    }

    /// Stops a pod: its servers end, then CNI DEL, then its namespace goes. Its addresses are free again.
    ///
    /// # Errors
    /// [`LabError::Unknown`] if it is not there, and what the system says.
    pub fn delete_pod(&self, key: &ObjectKey) -> Result<Arc<Pod>, LabError> {
        let pod = self.lock().remove(key).ok_or_else(|| LabError::Unknown(format!("pod {key}")))?;
        let node = self.node(pod.node());
        self.responder.stop(&Place::from(&pod));
        cni_files::remove(&node.cni_dir(), &pod, || pod.unplug(node))?;
        shell::ip_batch(&format!("netns del {}\n", pod.netns().name()))?;
        node.addresses().release(pod.ipv4(), pod.ipv6());
        self.follow_pods(std::slice::from_ref(&pod))?;
        Ok(pod)
    }

    /// Sends one probe and waits for its answer or [`probe::TIMEOUT`].
    ///
    /// # Errors
    /// As [`Lab::probe_all`].
    pub fn probe(&self, probe: Probe) -> Result<Reply, LabError> {
        let mut replies = self.probe_all(&[probe])?;
        replies.pop().ok_or_else(|| LabError::Invalid("the probe gave no reply".to_owned()))
    }

    /// Sends many probes at once, each with [`probe::TIMEOUT`], and gives the replies in the same order.
    ///
    /// # Errors
    /// [`LabError::Unknown`] if a source is not in the lab, [`LabError::Io`] if this machine cannot send (no more files).
    pub fn probe_all(&self, probes: &[Probe]) -> Result<Vec<Reply>, LabError> {
        self.probe_all_within(probes, probe::TIMEOUT)
    }

    /// As [`Lab::probe_all`], with another time-out.
    ///
    /// # Errors
    /// As [`Lab::probe_all`].
    pub fn probe_all_within(&self, probes: &[Probe], timeout: Duration) -> Result<Vec<Reply>, LabError> {
        probe::run(probes, timeout, |place| self.netns(place))
    }

    /// A place's own address of a family: where to send a probe for it. A node's is the one on the underlay.
    ///
    /// # Errors
    /// [`LabError::Unknown`] if the lab has no such pod or node.
    pub fn address(&self, place: impl Into<Place>, family: Family) -> Result<IpAddr, LabError> {
        let place = place.into();
        let pair = match &place {
            Place::Node(n) => Some((super::addresses::node4(*n), super::addresses::node6(*n))),
            Place::Pod(key) => self.lock().get(key).map(|pod| (pod.ipv4(), pod.ipv6())),
            Place::Outside => Some((super::addresses::OUTSIDE4, super::addresses::OUTSIDE6)),
        };
        let (v4, v6) = pair.ok_or_else(|| LabError::Unknown(place.to_string()))?;
        Ok(family.pick(v4.into(), v6.into()))
    }

    /// Leaves the lab up when this process ends: namespaces and files stay, the servers in them do not. Gives the id for
    /// [`ownership::remove`](super::ownership::remove).
    ///
    /// # Errors
    /// [`LabError::Io`] if the mark cannot be written.
    pub fn keep(self) -> Result<String, LabError> {
        self.claim.keep()
    }

    pub(crate) fn responder(&self) -> &Responder {
        &self.responder
    }

    pub(crate) fn service_list(&self) -> MutexGuard<'_, Vec<Service>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Arc<Pod>>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
