//! From the status of a sandbox to what it claims.
//!
//! CRI itself tells a pod's addresses and no device. What a runtime says beside it, when asked to be verbose, has CNI's result:
//! containerd as go-cni holds it (`cniResult`; containerd 1.6.20 `pkg/cri/server/sandbox_status.go`, go-cni `result.go`), CRI-O
//! as CNI gave it, in an annotation of the sandbox's OCI configuration (cri-o `server/sandbox_status.go`,
//! `pkg/annotations`).

use super::proto::{NamespaceMode, PodSandboxStatus, PodSandboxStatusResponse, SandboxState};
use crate::node::cni::{self, Attachment, CniError, CniResult, POD_INTERFACE};
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
    /// The network namespace's path; empty for a device of the host.
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
    if status.state() != SandboxState::Ready || has_nodes_network(status) || addresses.is_empty() {
        return Ok(None);
    }
    let pod = ObjectKey::new(&*metadata.namespace, &*metadata.name);
    let container = status.id.as_str().into();
    let info =
        answer.info.get(INFO).map_or(Ok(Info::default()), |text| serde_json::from_str::<Info>(text))?;
    if let Some(GoCniResult { interfaces }) = info.cni_result {
        let inside = |(name, device): &(&String, &GoCniInterface)| {
            *name == POD_INTERFACE && !device.sandbox.is_empty()
        };
        let (name, own) = interfaces.iter().find(inside).ok_or(ClaimError::NoResult)?;
        let mac = cni::read_mac(name, &own.mac)?;
        let host = interfaces.iter().filter(|(_, device)| device.sandbox.is_empty());
        let host = host.map(|(name, device)| Ok((name.clone(), cni::read_mac(name, &device.mac)?)));
        return Ok(Some(Attachment {
            container,
            pod,
            mac,
            addresses,
            host: host.collect::<Result<_, CniError>>()?,
        }));
    }
    let annotations = info.runtime_spec.map(|spec| spec.annotations).unwrap_or_default();
    let text = annotations.get(CRIO_RESULT).ok_or(ClaimError::NoResult)?;
    let result: CniResult = serde_json::from_str(text)?;
    Ok(Some(Attachment { addresses, ..result.attachment(container, pod)? }))
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
