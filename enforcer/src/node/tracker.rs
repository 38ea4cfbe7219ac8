//! From readings of the host to what the compiler is told: its settings, and the ports of local pods.

use super::{
    facts::{DEFAULT_BRIDGE, Facts},
    rtnl::Link,
};
use compiler::{
    Event,
    config::{Config, Established, Guards, Limits, Port, UnknownPods},
};
use policy_model::{cluster::Cluster, object::Pod};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

/// What the operator has set; everything else is found.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `--node-name`.
    pub node: Arc<str>,
    /// `--pod-interface`; empty = found.
    pub pod_interfaces: Vec<Arc<str>>,
    /// `--overlay-port`; empty = read from the devices.
    pub overlay_ports: Vec<u16>,
    /// `--established`.
    pub established: Established,
    /// `--unknown-pods`.
    pub unknown_pods: UnknownPods,
    /// `--overlay-guard` and its kin.
    pub guards: Guards,
    /// `--max-pod-entries` and its kin.
    pub limits: Limits,
    /// The kernel has nftables' bridge family; without it there are no guards of pods' ports.
    pub bridge_family: bool,
}

impl Settings {
    /// Everything is found, on a kernel that has all.
    #[must_use]
    pub fn new(node: &str) -> Self {
        Self {
            node: node.into(),
            pod_interfaces: Vec::new(),
            overlay_ports: Vec::new(),
            established: Established::default(),
            unknown_pods: UnknownPods::default(),
            guards: Guards::default(),
            limits: Limits::default(),
            bridge_family: true,
        }
    }
}

/// What has changed since the last reading.
#[derive(Debug, Default)]
pub struct Update {
    /// The node's settings, if they are others now.
    pub config: Option<Config>,
    /// Ports that came or changed.
    pub attached: Vec<Port>,
    /// Container ids of ports that went.
    pub detached: Vec<Arc<str>>,
    /// Addresses that are nobody's, if they are others now.
    pub withheld: Option<BTreeSet<IpAddr>>,
}

impl Update {
    /// How many things have changed.
    #[must_use]
    pub fn count(&self) -> usize {
        let others = usize::from(self.config.is_some()) + usize::from(self.withheld.is_some());
        self.attached.len() + self.detached.len() + others
    }

    /// Whether it is about pods, which wait for it.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        !self.attached.is_empty() || !self.detached.is_empty() || self.withheld.is_some()
    }

    /// For the compiler, without the settings. What is withheld comes first: a new pod is never told of its address while
    /// that still counts as somebody else's.
    pub fn events(self) -> impl Iterator<Item = Event> {
        let detached = self.detached.into_iter().map(Event::PortDeleted);
        let attached = self.attached.into_iter().map(Event::Port);
        self.withheld.map(Event::Withheld).into_iter().chain(detached).chain(attached)
    }
}

/// Holds what the compiler knows of this host. Without I/O.
#[derive(Debug)]
pub struct Tracker {
    settings: Settings,
    facts: Facts,
    config: Config,
    ports: BTreeMap<Arc<str>, Port>,
    withheld: BTreeSet<IpAddr>,
}

impl Tracker {
    /// A host of which nothing has been read.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let mut tracker = Self {
            config: Config { limits: settings.limits, ..Config::new(settings.node.clone(), DEFAULT_BRIDGE) },
            settings,
            facts: Facts::default(),
            ports: BTreeMap::new(),
            withheld: BTreeSet::new(),
        };
        tracker.config = tracker.derive_config(&Cluster::new());
        tracker
    }

    /// The settings that follow from the last reading.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The last reading.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Takes a reading in. `cluster` tells this node's pod ranges, and where its pods are.
    pub fn read(&mut self, facts: Facts, cluster: &Cluster) -> Update {
        self.facts = facts;
        self.refresh(cluster)
    }

    /// The same reading in the light of another cluster: this node's ranges or pods have changed.
    pub fn refresh(&mut self, cluster: &Cluster) -> Update {
        // The bridges first: a port lives only on one of them.
        let bridges = self.bridges(cluster);
        let (attached, detached) = self.update_ports(&bridges);
        let config = self.derive_config(cluster);
        let changed = config != self.config;
        self.config = config;
        let withheld = self.facts.withheld();
        let others = withheld != self.withheld;
        self.withheld = withheld;
        Update {
            config: changed.then(|| self.config.clone()),
            attached,
            detached,
            withheld: others.then(|| self.withheld.clone()),
        }
    }

    /// Names of the pod bridges. When none is there yet, the one that the CNI plugin will make.
    fn bridges(&self, cluster: &Cluster) -> Vec<Arc<str>> {
        if !self.settings.pod_interfaces.is_empty() {
            return self.settings.pod_interfaces.clone();
        }
        let node = &*self.settings.node;
        let spec = cluster.node(node).map(|node| node.pod_cidrs.as_slice()).unwrap_or_default();
        let ranges = &[spec, &self.facts.subnets].concat();
        let names = |links: Vec<&Link>| links.iter().map(|link| Arc::from(link.name.as_str())).collect();
        let mut found: Vec<Arc<str>> = names(self.facts.pod_bridges(ranges, &[]));
        if found.is_empty() {
            found = names(self.facts.bridges_of_results());
        }
        if found.is_empty() {
            // Only then: it walks over all pods of the cluster.
            let local = |pod: &&Pod| pod.is_policed() && pod.node.as_deref() == Some(node);
            let pods: Vec<IpAddr> =
                cluster.pods().filter(local).flat_map(|pod| pod.ips.iter().copied()).collect();
            found = names(self.facts.pod_bridges(ranges, &pods));
        }
        if found.is_empty() { vec![DEFAULT_BRIDGE.into()] } else { found }
    }

    fn derive_config(&self, cluster: &Cluster) -> Config {
        let bridges = self.bridges(cluster);
        let broadcasts = bridges.iter().filter_map(|name| self.facts.link(name));
        let broadcasts = broadcasts.flat_map(|link| self.facts.broadcasts(link.index)).collect();
        let overlay_ports = match &*self.settings.overlay_ports {
            [] => self.facts.overlay_ports(),
            set => set.to_vec(),
        };
        Config {
            node: self.settings.node.clone(),
            bridges,
            broadcasts,
            overlay_ports,
            addresses: self.facts.own_addresses(),
            bridge_table: self.settings.bridge_family && !self.ports.is_empty(),
            guards: self.settings.guards,
            established: self.settings.established,
            unknown_pods: self.settings.unknown_pods,
            ..self.config.clone()
        }
    }

    fn update_ports(&mut self, bridges: &[Arc<str>]) -> (Vec<Port>, Vec<Arc<str>>) {
        let masters: Vec<u32> = bridges.iter().filter_map(|b| self.facts.link(b)).map(|l| l.index).collect();
        let links: HashMap<&str, _> = self.facts.links.iter().map(|l| (l.name.as_str(), l)).collect();
        let live = self.facts.claims().into_iter().filter_map(|claim| claim.port(&links, &masters));
        // Of several networks of one sandbox (Multus) the first counts.
        let live = live.fold(BTreeMap::<Arc<str>, Port>::new(), |mut ports, port| {
            ports.entry(port.id.clone()).or_insert(port);
            ports
        });

        let detached = self.ports.keys().filter(|id| !live.contains_key(*id)).cloned().collect();
        let attached = live.values().filter(|port| self.ports.get(&port.id) != Some(port)).cloned().collect();
        self.ports = live;
        (attached, detached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{
        cni::Attachment,
        rtnl::{BridgeFlags, LinkAddress, LinkKind},
    };
    use policy_model::object::{Node, ObjectKey};

    fn tracker() -> Tracker {
        Tracker::new(Settings::new("w1"))
    }

    fn host(bridge: &str) -> Facts {
        let link = |index, name: &str, master, kind| Link {
            index,
            name: name.into(),
            mac: Some([2, 0, 0, 0, 0, 9]),
            master,
            kind,
        };
        Facts {
            links: vec![
                link(3, bridge, None, LinkKind::Bridge(BridgeFlags::ON)),
                link(7, "veth1", Some(3), LinkKind::Other("veth".into())),
            ],
            addresses: vec![LinkAddress { link: 3, address: "10.244.1.1".parse().unwrap(), prefix: 24 }],
            netfilter: None,
            attachments: vec![Attachment {
                container: "c1".into(),
                pod: ObjectKey::new("shop", "a"),
                mac: [2, 0, 0, 0, 0, 1],
                addresses: vec!["10.244.1.2".parse().unwrap()],
                host: vec![("veth1".into(), [2, 0, 0, 0, 0, 9])],
            }],
            ..Facts::default()
        }
    }

    #[test]
    fn a_living_port_turns_the_guard_on_and_its_end_turns_it_off() {
        let mut tracker = tracker();
        let cluster = Cluster::new();
        let update = tracker.read(host("cni0"), &cluster);
        assert!(matches!(&update.attached[..], [port] if port.ifindex == 7), "{update:?}");
        assert!(update.config.is_some_and(|c| c.bridge_table));

        let update = tracker.read(host("cni0"), &cluster);
        let no_news = update.attached.is_empty() && update.detached.is_empty() && update.config.is_none();
        assert!(no_news, "a second reading is none: {update:?}");

        let mut gone = host("cni0");
        gone.links.pop();
        let update = tracker.read(gone, &cluster);
        assert_eq!(update.detached, [Arc::from("c1")]);
        assert!(update.config.is_some_and(|c| !c.bridge_table));
    }

    #[test]
    fn a_bridge_of_another_name_is_found_once_the_nodes_range_is_known() {
        let mut tracker = tracker();
        let mut cluster = Cluster::new();
        tracker.read(host("kube-bridge"), &cluster);
        assert_eq!(tracker.config().bridges, [Arc::from("cni0")], "nothing found: what the plugin will make");
        cluster.insert_node(Node {
            name: "w1".into(),
            addresses: Vec::new(),
            pod_cidrs: vec!["10.244.1.0/24".parse().unwrap()],
        });
        let update = tracker.refresh(&cluster);
        assert_eq!(update.config.unwrap().bridges, [Arc::from("kube-bridge")]);
        assert_eq!(update.attached.len(), 1, "its port lives now");
    }

    #[test]
    fn an_address_is_nobodys_between_its_lease_and_its_result_and_after_its_lease() {
        let (own, other): (IpAddr, IpAddr) = ("10.244.1.2".parse().unwrap(), "10.244.1.3".parse().unwrap());
        let mut tracker = tracker();
        let cluster = Cluster::new();
        let leased = |leases: &[(IpAddr, &str)]| Facts {
            leased: leases.iter().map(|&(address, container)| (address, container.into())).collect(),
            ..host("cni0")
        };
        let update = tracker.read(leased(&[(own, "c1")]), &cluster);
        assert_eq!((update.attached.len(), update.withheld), (1, None), "its result is there");
        let update = tracker.read(leased(&[(own, "c1"), (other, "c2")]), &cluster);
        assert_eq!(update.withheld, Some([other].into()), "another's is not yet");
        assert!(tracker.read(leased(&[(own, "c1"), (other, "c2")]), &cluster).count() == 0);

        let freed = Facts { freed: [own].into(), ..leased(&[]) };
        let update = tracker.read(freed, &cluster);
        assert_eq!(update.withheld, Some([own].into()), "the first thing that DEL takes away");

        let mut dead = leased(&[(own, "c1")]);
        dead.links.pop();
        let update = tracker.read(dead, &cluster);
        assert_eq!(update.withheld, None, "still nobody's: left over from before a reboot");
        assert_eq!(update.detached, [Arc::from("c1")]);

        let silent = Facts { attachments: Vec::new(), ..leased(&[(own, "c1")]) };
        assert_eq!(
            tracker.read(silent, &cluster).withheld,
            Some(BTreeSet::new()),
            "nobody writes results here"
        );
    }

    #[test]
    fn of_several_networks_of_a_sandbox_one_counts() {
        let mut twice = host("cni0");
        let second =
            Attachment { addresses: vec!["10.9.0.9".parse().unwrap()], ..twice.attachments[0].clone() };
        twice.attachments.push(second);
        let update = tracker().read(twice, &Cluster::new());
        assert!(
            matches!(&update.attached[..], [port] if port.addresses == ["10.244.1.2".parse::<IpAddr>().unwrap()])
        );
    }

    #[test]
    fn a_bridge_that_a_living_result_names_is_found_without_the_api() {
        let mut tracker = tracker();
        let mut named = host("kube-bridge");
        named.attachments[0].host.push(("kube-bridge".into(), [2, 0, 0, 0, 0, 9]));
        let update = tracker.read(named.clone(), &Cluster::new());
        assert_eq!(tracker.config().bridges, [Arc::from("kube-bridge")]);
        assert_eq!(update.attached.len(), 1);

        named.links.pop();
        let mut other = self::tracker();
        other.read(named, &Cluster::new());
        assert_eq!(
            other.config().bridges,
            [Arc::from("cni0")],
            "its veth is gone: it may be of another life"
        );
    }

    #[test]
    fn what_is_set_is_not_looked_for() {
        let mut tracker = tracker();
        tracker.settings.pod_interfaces = vec!["br9".into()];
        tracker.settings.overlay_ports = vec![4789];
        tracker.read(host("cni0"), &Cluster::new());
        assert_eq!(tracker.config().bridges, [Arc::from("br9")]);
        assert_eq!(tracker.config().overlay_ports, [4789]);
        assert!(!tracker.config().bridge_table, "a port on another bridge is no pod's");
    }
}
