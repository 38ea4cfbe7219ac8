//! libcni's result cache: which pod a host's network interface belongs to.
//!
//! Source: containernetworking/cni `libcni/api.go`. A file is written once the last plugin has succeeded and before any
//! process of the pod runs. Files lie after reboots, so nothing here is believed before [`Attachment::port`] has seen the
//! host's end of it alive.

use super::rtnl::{Link, LinkKind};
use compiler::config::Port;
use ipnet::IpNet;
use policy_model::object::ObjectKey;
use serde::Deserialize;
use std::{collections::HashMap, net::IpAddr, sync::Arc};

/// The name that a pod's own interface has in every runtime; other interfaces (Multus) are not the pod's addresses.
const POD_INTERFACE: &str = "eth0";

/// Why a result file could not be read. An empty file is one that is being written, or was when the power went.
#[derive(Debug, thiserror::Error)]
pub enum CniError {
    /// Not the JSON of a result.
    #[error("not a CNI result: {0}")]
    Json(#[from] serde_json::Error),
    /// A hardware address that is none.
    #[error("interface {interface}: mac {mac:?} is no hardware address")]
    Mac {
        /// `result.interfaces[].name`.
        interface: String,
        /// `result.interfaces[].mac`.
        mac: String,
    },
    /// A pod without a name: the runtime gave no `K8S_POD_NAMESPACE` and `K8S_POD_NAME`, or an older libcni kept none.
    #[error("no pod is named (cniArgs lack K8S_POD_NAMESPACE and K8S_POD_NAME)")]
    Nameless,
    /// A result before 0.3.0 names no interfaces.
    #[error("the result names no interface of the pod (cniVersion {0})")]
    NoInterface(String),
}

/// A pod's network as a result file claims it, or the container runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// `containerId`: the sandbox.
    pub container: Arc<str>,
    /// `K8S_POD_NAMESPACE` and `K8S_POD_NAME`.
    pub pod: ObjectKey,
    /// Hardware address inside the pod.
    pub mac: [u8; 6],
    /// Addresses inside the pod.
    pub addresses: Vec<IpAddr>,
    /// Interfaces on the host: the bridge and the host's end of the veth, each with its hardware address.
    pub host: Vec<(String, [u8; 6])>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CacheFile {
    container_id: Option<Arc<str>>,
    if_name: Option<String>,
    #[serde(default)]
    cni_args: Vec<(String, String)>,
    result: Option<CniResult>,
}

/// What CNI ADD has given back, from 0.3.0 on: interfaces and addresses.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CniResult {
    cni_version: Option<String>,
    #[serde(default)]
    interfaces: Vec<Interface>,
    #[serde(default)]
    ips: Vec<IpEntry>,
}

/// A device as a result names it.
#[derive(Deserialize)]
pub(crate) struct Interface {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) mac: String,
    /// The network namespace's path; empty for a device of the host.
    #[serde(default)]
    pub(crate) sandbox: String,
}

#[derive(Deserialize)]
struct IpEntry {
    address: IpNet,
    interface: Option<usize>,
}

/// Reads a file of the results folder. `None` for what is no pod's own interface: the loopback, a second network.
///
/// # Errors
/// See [`CniError`].
pub fn parse(text: &[u8]) -> Result<Option<Attachment>, CniError> {
    let file: CacheFile = serde_json::from_slice(text)?;
    let Some(result) = file.result else { return Err(CniError::Nameless) };
    if file.if_name.as_deref() != Some(POD_INTERFACE) {
        return Ok(None);
    }
    let argument = |name| file.cni_args.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let (Some(container), Some(namespace), Some(name)) =
        (file.container_id, argument("K8S_POD_NAMESPACE"), argument("K8S_POD_NAME"))
    else {
        return Err(CniError::Nameless);
    };

    result.attachment(container, ObjectKey::new(namespace, name)).map(Some)
}

impl CniResult {
    /// One that says no more than this.
    pub(crate) fn of(interfaces: impl Iterator<Item = Interface>) -> Self {
        Self { interfaces: interfaces.collect(), ..Self::default() }
    }

    /// The network of a pod's sandbox, as this result has it.
    ///
    /// # Errors
    /// It names no interface of the pod, or a hardware address that is none.
    pub(crate) fn attachment(self, container: Arc<str>, pod: ObjectKey) -> Result<Attachment, CniError> {
        let inside = |i: &Interface| !i.sandbox.is_empty() && i.name == POD_INTERFACE;
        let Some(own) = self.interfaces.iter().position(inside) else {
            return Err(CniError::NoInterface(self.cni_version.unwrap_or_else(|| "absent".into())));
        };
        let mac = self.interfaces[own].mac()?;
        let addresses = self.ips.iter().filter(|ip| ip.interface.is_none_or(|i| i == own));
        let addresses = addresses.map(|ip| ip.address.addr()).collect();
        let host = self.interfaces.iter().filter(|i| i.sandbox.is_empty());
        let host = host.map(|i| Ok((i.name.clone(), i.mac()?))).collect::<Result<_, CniError>>()?;
        Ok(Attachment { container, pod, mac, addresses, host })
    }
}

#[cfg(test)]
impl Attachment {
    /// Some pod's.
    pub(crate) fn without_addresses() -> Self {
        let pod = ObjectKey::new("shop", "a");
        Self { container: "c1".into(), pod, mac: [2; 6], addresses: Vec::new(), host: Vec::new() }
    }
}

impl Interface {
    fn mac(&self) -> Result<[u8; 6], CniError> {
        read_mac(&self.name, &self.mac)
    }
}

/// A hardware address as CNI writes it: `02:00:0a:f4:01:02`.
fn read_mac(interface: &str, mac: &str) -> Result<[u8; 6], CniError> {
    let wrong = || CniError::Mac { interface: interface.into(), mac: mac.into() };
    let bytes: Vec<u8> = mac
        .split(':')
        .map(|part| u8::from_str_radix(part, 16))
        .collect::<Result<_, _>>()
        .map_err(|_| wrong())?;
    bytes.try_into().map_err(|_| wrong())
}

impl Attachment {
    /// Whether a link of this host that the result names is there, with the hardware address that it names.
    #[must_use]
    pub fn has_link(&self, links: &HashMap<&str, &Link>) -> bool {
        let bridge = |link: &Link| matches!(link.kind, LinkKind::Bridge(_));
        let there = |(name, mac): &(String, [u8; 6])| {
            links.get(name.as_str()).is_some_and(|link| link.mac == Some(*mac) && !bridge(link))
        };
        self.host.iter().any(there)
    }

    /// The pod's port, if the host's end of its veth lives: a device of that name, with that hardware address, and a port
    /// of a bridge. Anything else is left over from before a reboot, or not attached yet.
    #[must_use]
    pub fn port(&self, links: &HashMap<&str, &Link>, bridges: &[u32]) -> Option<Port> {
        let lives = |(name, mac): &(String, [u8; 6])| {
            let link = links.get(name.as_str())?;
            let on_bridge = link.master.is_some_and(|master| bridges.contains(&master));
            let is_port = !matches!(link.kind, LinkKind::Bridge(_)) && on_bridge;
            (link.mac == Some(*mac) && is_port).then_some(link.index)
        };
        let ifindex = self.host.iter().find_map(lives)?;
        Some(Port {
            id: self.container.clone(),
            pod: self.pod.clone(),
            ifindex,
            mac: self.mac,
            addresses: self.addresses.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn result_file(result: &Value) -> Value {
        json!({
            "kind": "cniCacheV1", "containerId": "c1", "ifName": "eth0", "networkName": "cbr0",
            "cniArgs": [["IgnoreUnknown", "1"], ["K8S_POD_NAME", "a"], ["K8S_POD_NAMESPACE", "shop"]],
            "result": result,
        })
    }

    fn result() -> Value {
        json!({
            "cniVersion": "1.0.0",
            "interfaces": [
                { "name": "cni0", "mac": "0a:58:0a:f4:01:01" },
                { "name": "veth1", "mac": "0a:58:00:00:00:02" },
                { "name": "eth0", "mac": "02:00:0a:f4:01:02", "sandbox": "/run/netns/x" },
            ],
            "ips": [
                { "address": "10.244.1.2/24", "interface": 2 },
                { "version": "6", "address": "fd00:10:244:1::2/64", "interface": 2 },
            ],
        })
    }

    fn link(index: u32, name: &str, mac: [u8; 6], master: Option<u32>, kind: LinkKind) -> Link {
        Link { index, name: name.into(), mac: Some(mac), master, kind }
    }

    fn veth(mac: [u8; 6], master: Option<u32>) -> Vec<Link> {
        let bridge = LinkKind::Bridge(super::super::rtnl::BridgeFlags::ON);
        vec![
            link(3, "cni0", [0x0a, 0x58, 0x0a, 0xf4, 1, 1], None, bridge),
            link(7, "veth1", mac, master, LinkKind::Other("veth".into())),
        ]
    }

    fn port(attachment: &Attachment, links: &[Link]) -> Option<Port> {
        attachment.port(&links.iter().map(|l| (l.name.as_str(), l)).collect(), &[3])
    }

    const HOST_MAC: [u8; 6] = [0x0a, 0x58, 0, 0, 0, 2];

    #[test]
    fn a_living_result_is_a_port() {
        let attachment = parse(result_file(&result()).to_string().as_bytes()).unwrap().unwrap();
        assert_eq!(attachment.pod, ObjectKey::new("shop", "a"));
        let port = port(&attachment, &veth(HOST_MAC, Some(3))).unwrap();
        assert_eq!((port.ifindex, port.mac), (7, [2, 0, 0x0a, 0xf4, 1, 2]));
        assert_eq!(
            port.addresses,
            ["10.244.1.2", "fd00:10:244:1::2"].map(|a| a.parse::<IpAddr>().unwrap()),
            "both families"
        );
    }

    #[test]
    fn a_result_from_before_a_reboot_is_no_port() {
        let attachment = parse(result_file(&result()).to_string().as_bytes()).unwrap().unwrap();
        assert_eq!(port(&attachment, &[]), None, "no such device");
        assert_eq!(port(&attachment, &veth([9; 6], Some(3))), None, "another device of that name");
        assert_eq!(port(&attachment, &veth(HOST_MAC, None)), None, "not on a bridge");
        assert_eq!(port(&attachment, &veth(HOST_MAC, Some(9))), None, "on a bridge of somebody else");
    }

    #[test]
    fn the_interface_of_the_address_is_optional() {
        let mut without = result();
        without["ips"] = json!([{ "address": "10.244.1.2/24" }]);
        let attachment = parse(result_file(&without).to_string().as_bytes()).unwrap().unwrap();
        assert_eq!(attachment.addresses.len(), 1);
    }

    #[test]
    fn loopback_and_second_networks_are_not_the_pods_own() {
        let mut other = result_file(&result());
        for name in ["lo", "net1"] {
            other["ifName"] = json!(name);
            assert_eq!(parse(other.to_string().as_bytes()).unwrap(), None, "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error("").starts_with("not a CNI result: EOF"), "{}", error(""));
        assert!(
            error(r#"{"cniVersion":"0.3.1","ips":[]}"#).contains("no pod is named"),
            "a bare result, libcni 0.7"
        );
        let v02 = result_file(&json!({ "cniVersion": "0.2.0", "ip4": { "ip": "10.244.1.2/24" } }));
        assert!(error(&v02.to_string()).contains("names no interface of the pod (cniVersion 0.2.0)"));
        let mut mac = result();
        mac["interfaces"][2]["mac"] = json!("02:00");
        let said = error(&result_file(&mac).to_string());
        assert_eq!(said, r#"interface eth0: mac "02:00" is no hardware address"#);
    }
}
