//! What a node tells the compiler about itself, and how the operator wants verdicts to behave.

use policy_model::object::ObjectKey;
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

/// What becomes of a flow that was allowed when it began and is allowed no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Established {
    /// Every packet is judged: a revoked flow stops at once.
    #[default]
    Recheck,
    /// Packets of established and related flows pass.
    Keep,
}

/// What becomes of traffic on the pod bridge that no known pod's address belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[expect(missing_docs, reason = "the variants are their own names")]
pub enum UnknownPods {
    #[default]
    Drop,
    Allow,
}

/// What a pod may not claim or say, whatever policies allow. Each guard has rules of its own in the fixed chains, and turning
/// one changes these and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Guards {
    /// The overlay's own protocol, sent by a pod to any node: with it a pod could forge packets of every other pod.
    pub overlay: bool,
    /// Frames whose addresses are not the pod's own: IP sources, hardware addresses, senders of ARP, targets of neighbour
    /// advertisements.
    pub sources: bool,
    /// What only a network's routers and servers say: router advertisements, redirects, a DHCP server's messages to groups.
    pub routers: bool,
    /// Frames that the hooks of IP never see: other ethertypes, VLAN tags, and those to groups that no bridge forwards.
    pub ethertypes: bool,
}

impl Guards {
    /// Every guard is on.
    pub const ALL: Self = Self { overlay: true, sources: true, routers: true, ethertypes: true };
}

impl Default for Guards {
    fn default() -> Self {
        Self::ALL
    }
}

/// Where the form of a program's steps turns from one to the next. All forms decide the same; they cost differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Costs {
    /// Up to this many (protocol, port) pairs of one peer stand as elements of the exact set; a peer with more, or with
    /// wide ranges, is sent to a port profile.
    pub exact_ports: u32,
    /// From this many programs on a selector's members may stand in one set that all of them ask: a step more for a
    /// packet, but an event touches one set instead of many.
    pub shared_programs: usize,
    /// ... if these are at least so many elements: programs times members.
    pub shared_elements: u64,
}

impl Default for Costs {
    fn default() -> Self {
        Self { exact_ports: 16, shared_programs: 4, shared_elements: 16_384 }
    }
}

/// How much policies list, in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Listed {
    /// Peers, exceptions of ipBlocks, and ports. Each range of addresses that a program tells apart comes from one.
    pub entries: u64,
    /// Peers whose `podSelector` only excludes (`NotIn`, `DoesNotExist`): each must be asked about every pod of the cluster.
    pub selectors: u64,
}

/// How much policies may ask of a node. Beyond that the pods concerned are denied in the direction concerned, and everybody
/// else is served as before: nobody who may write policies in one namespace can make a node work for them alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Limits {
    /// What the policies that select one pod list together, in one direction.
    pub pod: Listed,
    /// What those list that select a namespace's pods of this node; pods that the same policies select count once. The pods
    /// for which most is listed are denied first.
    pub namespace: Listed,
    /// Elements that one program may have: members of its selectors, times the ports of each.
    pub elements: u64,
    /// Entries for which pods are decided in one commit at a [`Pace`](crate::Pace); those that ask for more come later, one a
    /// commit. It takes about as long as the transaction.
    pub commit: u64,
}

impl Limits {
    /// None.
    pub const NONE: Self = {
        let listed = Listed { entries: u64::MAX, selectors: u64::MAX };
        Self { pod: listed, namespace: listed, elements: u64::MAX, commit: u64::MAX }
    };
}

impl Default for Limits {
    /// Far above what people write: the published ranges of a large cloud are some 10,000 blocks. A selector that no label
    /// narrows down costs up to 16 ms in a cluster of 10,000 pods, so that all of a pod's are asked within about a second.
    fn default() -> Self {
        Self {
            pod: Listed { entries: 16_384, selectors: 64 },
            namespace: Listed { entries: 131_072, selectors: 1_024 },
            elements: 1_048_576,
            commit: 2_048,
        }
    }
}

/// A node's settings. A change of them is a change of the fixed chains only.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Config {
    /// The name of this node, as pods have it in `spec.nodeName`.
    pub node: Arc<str>,
    /// Names of the bridges that pods of this node hang on; usually one, `cni0`.
    pub bridges: Vec<Arc<str>>,
    /// IPv4 broadcast addresses of the subnets on those bridges.
    pub broadcasts: Vec<Ipv4Addr>,
    /// UDP ports of the overlay (VXLAN 8472, WireGuard 51820 and 51821, udp backend 8285), to which no pod may send on any
    /// node. Empty = no overlay guard.
    pub overlay_ports: Vec<u16>,
    /// Addresses of this node beside those in its Node object.
    pub addresses: Vec<IpAddr>,
    /// The bridge table: the guards of pods' ports, and groups asked port by port. It takes a kernel with nftables' bridge
    /// family, and at least one port that is known.
    pub bridge_table: bool,
    /// See [`Guards`]. Those of pods' ports need the bridge table.
    pub guards: Guards,
    /// See [`Established`].
    pub established: Established,
    /// See [`UnknownPods`].
    pub unknown_pods: UnknownPods,
    /// See [`Costs`]. Fixed once the compiler is made, as the name is.
    pub costs: Costs,
    /// See [`Limits`]. Fixed once the compiler is made.
    pub limits: Limits,
    /// So many addresses of local pods have room, of each family. The compiler makes more of it when they are more.
    #[cfg_attr(feature = "serde", serde(default = "least_room"))]
    pub room: u32,
}

/// A kubelet's default is 110 pods, and with IPv6 a pod has two addresses there. The kernel makes a hash table of 4/3 of a
/// set's size, rounded up to a power of two, and walks all of that whenever an element that leads to a program is added:
/// this is the most that 2,048 buckets have room for.
pub(crate) const fn least_room() -> u32 {
    1536
}

impl Config {
    /// Defaults for a node whose pods hang on `bridge`.
    #[must_use]
    pub fn new(node: impl Into<Arc<str>>, bridge: impl Into<Arc<str>>) -> Self {
        Self {
            node: node.into(),
            bridges: vec![bridge.into()],
            broadcasts: Vec::new(),
            overlay_ports: vec![8472],
            addresses: Vec::new(),
            bridge_table: true,
            guards: Guards::default(),
            established: Established::default(),
            unknown_pods: UnknownPods::default(),
            costs: Costs::default(),
            limits: Limits::default(),
            room: least_room(),
        }
    }
}

/// A local pod's network interface as the host knows it (libcni's result): what proves which frames are the pod's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Identity of the sandbox: its container id.
    pub id: Arc<str>,
    /// Whose it is.
    pub pod: ObjectKey,
    /// Index of the host-side veth, a port of the pod bridge.
    pub ifindex: u32,
    /// Hardware address inside the pod.
    pub mac: [u8; 6],
    /// Addresses inside the pod, without its link-local one, which follows from the hardware address (EUI-64).
    pub addresses: Vec<IpAddr>,
}

impl Port {
    /// The link-local address that the pod's kernel makes of its hardware address (RFC 4291, appendix A).
    #[must_use]
    pub fn link_local(&self) -> IpAddr {
        let [a, b, c, d, e, f] = self.mac;
        IpAddr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
    }
}
