//! From the status of a sandbox to what it claims.
//!
//! CRI itself tells a pod's addresses and no device. What a runtime says beside it, when asked to be verbose, has CNI's result:
//! containerd as go-cni holds it (`cniResult`; containerd 1.6.20 `pkg/cri/server/sandbox_status.go`, go-cni `result.go`), CRI-O
//! as CNI gave it, in an annotation of the sandbox's OCI configuration (cri-o `server/sandbox_status.go`,
//! `pkg/annotations`).

use super::proto::{NamespaceMode, PodSandboxStatus, PodSandboxStatusResponse, SandboxState};
use crate::node::cni::{Attachment, CniError, CniResult, Interface};
use policy_model::object::ObjectKey;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    net::{AddrParseError, IpAddr},
};

/// The key of what is said beside CRI, in both runtimes.
const INFO: &str = "info";
/// CRI-O's annotation.
const CRIO_RESULT: &str = "io.kubernetes.cri-o.CNIResult";

/// Why a sandbox's claim cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClaimError {
    #[error("network.ip {0:?} is no address: {1}")]
    Address(String, AddrParseError),
    #[error("info is not JSON as containerd and CRI-O write it: {0}")]
    Info(#[from] serde_json::Error),
    #[error("the runtime does not tell CNI's result")]
    NoResult,
    #[error("CNI's result as the runtime tells it: {0}")]
    Result(#[from] CniError),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    cni_result: Option<GoCniResult>,
    runtime_spec: Option<RuntimeSpec>,
}

/// go-cni's result has no names of its own in JSON: the fields are Go's.
#[derive(Deserialize)]
struct GoCniResult {
    #[serde(rename = "Interfaces", default)]
    interfaces: BTreeMap<String, GoCniInterface>,
}

#[derive(Deserialize)]
struct GoCniInterface {
    #[serde(rename = "Mac", default)]
    mac: String,
    #[serde(rename = "Sandbox", default)]
    sandbox: String,
}

#[derive(Deserialize)]
struct RuntimeSpec {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// What a sandbox claims. `None`: nothing, since it is not ready, has the node's network, or no address yet.
///
/// # Errors
/// See [`ClaimError`].
pub(super) fn claim(answer: &PodSandboxStatusResponse) -> Result<Option<Attachment>, ClaimError> {
    let Some(status) = &answer.status else { return Ok(None) };
    let Some(metadata) = &status.metadata else { return Ok(None) };
    let addresses = addresses(status)?;
    // A state that is not known is not ready; prost's own getter would make it so.
    if status.state != SandboxState::Ready as i32 || has_nodes_network(status) || addresses.is_empty() {
        return Ok(None);
    }
    let pod = ObjectKey::new(&*metadata.namespace, &*metadata.name);
    let container = status.id.as_str().into();
    let info =
        answer.info.get(INFO).map_or(Ok(Info::default()), |text| serde_json::from_str::<Info>(text))?;
    let attachment = match info.cni_result {
        Some(result) => CniResult::from(result).attachment(container, pod).map_err(|error| match error {
            CniError::NoInterface(_) => ClaimError::NoResult,
            error => error.into(),
        }),
        None => {
            let annotations = info.runtime_spec.map(|spec| spec.annotations).unwrap_or_default();
            let text = annotations.get(CRIO_RESULT).ok_or(ClaimError::NoResult)?;
            let result: CniResult = serde_json::from_str(text)?;
            Ok(result.attachment(container, pod)?)
        }
    };
    Ok(Some(Attachment { addresses, ..attachment? }))
}

impl From<GoCniResult> for CniResult {
    fn from(result: GoCniResult) -> Self {
        let interface = |(name, GoCniInterface { mac, sandbox })| Interface { name, mac, sandbox };
        Self::of(result.interfaces.into_iter().map(interface))
    }
}

fn addresses(status: &PodSandboxStatus) -> Result<Vec<IpAddr>, ClaimError> {
    let Some(network) = &status.network else { return Ok(Vec::new()) };
    let all = std::iter::once(&network.ip).chain(network.additional_ips.iter().map(|ip| &ip.ip));
    let told = all.filter(|ip| !ip.is_empty());
    told.map(|ip| ip.parse().map_err(|e| ClaimError::Address(ip.clone(), e))).collect()
}

fn has_nodes_network(status: &PodSandboxStatus) -> bool {
    let namespaces = status.linux.as_ref().and_then(|linux| linux.namespaces.as_ref());
    let options = namespaces.and_then(|namespaces| namespaces.options.as_ref());
    options.is_some_and(|options| options.network() == NamespaceMode::Node)
}

#[cfg(test)]
mod tests {
    use super::{
        super::proto::{
            LinuxPodSandboxStatus, Namespace, NamespaceOption, PodIp, PodSandboxMetadata,
            PodSandboxNetworkStatus,
        },
        *,
    };
    use serde_json::{Value, json};

    /// As containerd 1.6.20 wrote it on a real node, but for fields that are not looked at.
    fn containerd() -> Value {
        json!({
            "pid": 812, "processStatus": "running", "netNamespaceClosed": false, "runtimeSpec": {"ociVersion": "1.0.2-dev", "annotations": {}},
            "cniResult": {
                "Interfaces": {
                    "cni0": {"IPConfigs": null, "Mac": "0a:58:0a:f4:01:01", "Sandbox": ""},
                    "eth0": {"IPConfigs": [{"IP": "10.244.1.2", "Gateway": "10.244.1.1"}], "Mac": "02:00:0a:f4:01:02",
                        "Sandbox": "/var/run/netns/cni-1"},
                    "lo": {"IPConfigs": [{"IP": "127.0.0.1", "Gateway": ""}], "Mac": "00:00:00:00:00:00",
                        "Sandbox": "/var/run/netns/cni-1"},
                    "veth1": {"IPConfigs": null, "Mac": "0a:58:00:00:00:02", "Sandbox": ""},
                },
                "DNS": [{}], "Routes": [{"dst": "10.244.0.0/16"}],
            },
        })
    }

    /// As CRI-O writes it (`crictl inspectp`).
    fn crio() -> Value {
        let result = json!({
            "cniVersion": "1.0.0",
            "interfaces": [{"name": "cni0", "mac": "0a:58:0a:f4:01:01"}, {"name": "veth1", "mac": "0a:58:00:00:00:02"},
                {"name": "eth0", "mac": "02:00:0a:f4:01:02", "sandbox": "/var/run/netns/1"}],
            "ips": [{"interface": 2, "address": "10.244.1.2/24"}], "dns": {},
        });
        json!({"pid": 812, "runtimeSpec": {"annotations": {CRIO_RESULT: result.to_string()}}})
    }

    fn status(info: Option<&Value>) -> PodSandboxStatusResponse {
        let network = PodSandboxNetworkStatus {
            ip: "10.244.1.2".into(),
            additional_ips: vec![PodIp { ip: "fd00:10:244:1::2".into() }],
        };
        let metadata = PodSandboxMetadata { name: "a".into(), namespace: "shop".into() };
        let status = PodSandboxStatus {
            id: "c1".into(),
            metadata: Some(metadata),
            state: SandboxState::Ready as i32,
            network: Some(network),
            linux: None,
        };
        let info = info.map(|info| (INFO.to_owned(), info.to_string())).into_iter().collect();
        PodSandboxStatusResponse { status: Some(status), info }
    }

    #[test]
    fn both_runtimes_tell_the_veth_and_both_addresses() {
        for info in [containerd(), crio()] {
            let claim = claim(&status(Some(&info))).unwrap().unwrap();
            assert_eq!((&*claim.container, claim.pod), ("c1", ObjectKey::new("shop", "a")));
            assert_eq!(claim.mac, [2, 0, 0x0a, 0xf4, 1, 2]);
            let addresses = ["10.244.1.2", "fd00:10:244:1::2"].map(|ip| ip.parse::<IpAddr>().unwrap());
            assert_eq!(claim.addresses, addresses);
            let veth = ("veth1".to_owned(), [0x0a, 0x58, 0, 0, 0, 2]);
            assert!(claim.host.contains(&veth) && claim.host.len() == 2, "{:?}", claim.host);
        }
    }

    #[test]
    fn what_is_not_ready_or_has_no_network_of_its_own_claims_nothing() {
        let nothing = |change: fn(&mut PodSandboxStatus)| {
            let mut answer = status(Some(&containerd()));
            change(answer.status.as_mut().unwrap());
            assert_eq!(claim(&answer).unwrap(), None);
        };
        nothing(|status| status.state = SandboxState::NotReady as i32);
        nothing(|status| status.state = 7);
        nothing(|status| status.network = None);
        nothing(|status| status.network = Some(PodSandboxNetworkStatus::default()));
        nothing(|status| status.metadata = None);
        nothing(|status| {
            let options = Some(NamespaceOption { network: NamespaceMode::Node as i32 });
            status.linux = Some(LinuxPodSandboxStatus { namespaces: Some(Namespace { options }) });
        });
        assert_eq!(claim(&PodSandboxStatusResponse::default()).unwrap(), None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let said = |answer: &PodSandboxStatusResponse| claim(answer).unwrap_err().to_string();
        let silent = "the runtime does not tell CNI's result";
        assert_eq!(said(&status(None)), silent, "another runtime");
        assert_eq!(said(&status(Some(&json!({"pid": 1})))), silent);
        assert_eq!(said(&status(Some(&json!({"cniResult": {"Interfaces": {}}})))), silent);
        assert!(said(&status(Some(&json!([])))).starts_with("info is not JSON as containerd"));
        let mut mac = containerd();
        mac["cniResult"]["Interfaces"]["veth1"]["Mac"] = json!("02:00");
        assert!(
            said(&status(Some(&mac))).ends_with(r#"interface veth1: mac "02:00" is no hardware address"#)
        );
        let mut address = status(Some(&containerd()));
        address.status.as_mut().unwrap().network.as_mut().unwrap().ip = "10.244.1".into();
        assert!(said(&address).starts_with(r#"network.ip "10.244.1" is no address"#));
    }
}
