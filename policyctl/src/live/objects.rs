//! The objects that policy needs, from an API server.

use super::{Connection, LiveError};
use crate::input::{Fault, Snapshot};
use futures_util::future::try_join_all;
use k8s_openapi::api::{
    core::v1::{Namespace, Node, Pod, Service},
    discovery::v1::EndpointSlice as ApiSlice,
    networking::v1::NetworkPolicy,
};
use kube::{Client, api::ListParams, core::Request};
use policy_model::{
    admission::{self, Rejection},
    cluster::Change,
    manifest::EndpointSlice,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// Objects of one page: the API server keeps no more than this in memory for a request.
const PAGE: u32 = 500;

/// A kind of objects, as RBAC names it, and where all of them are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resource {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    path: &'static str,
    /// Which of them, by field.
    fields: Option<&'static str>,
    /// Which of them, by label.
    labels: Option<&'static str>,
}

impl Resource {
    const fn all(name: &'static str, kind: &'static str, path: &'static str) -> Self {
        Self { name, kind, path, fields: None, labels: None }
    }

    /// Those with these labels.
    pub(super) const fn labelled(self, labels: &'static str) -> Self {
        Self { labels: Some(labels), ..self }
    }
}

pub(super) const NODES: Resource = Resource::all("nodes", "Node", "/api/v1/nodes");
pub(super) const POLICIES: Resource = Resource::all(
    "networkpolicies.networking.k8s.io",
    "NetworkPolicy",
    "/apis/networking.k8s.io/v1/networkpolicies",
);
/// Pods that have ended are no ends, and there may be very many.
pub(super) const PODS: Resource = Resource {
    fields: Some("status.phase!=Succeeded,status.phase!=Failed"),
    ..Resource::all("pods", "Pod", "/api/v1/pods")
};
const NAMESPACES: Resource = Resource::all("namespaces", "Namespace", "/api/v1/namespaces");
const SERVICES: Resource = Resource::all("services", "Service", "/api/v1/services");
const SLICES: Resource = Resource::all(
    "endpointslices.discovery.k8s.io",
    "EndpointSlice",
    "/apis/discovery.k8s.io/v1/endpointslices",
);
pub(super) const LEASES: Resource = Resource::all(
    "leases.coordination.k8s.io",
    "Lease",
    "/apis/coordination.k8s.io/v1/namespaces/palisade-system/leases",
);

/// The cluster's objects.
#[derive(Debug)]
pub struct State {
    /// As verbs work with it.
    pub snapshot: Snapshot,
    /// Resource version of the NetworkPolicies.
    pub policies: String,
}

/// One list.
pub(super) struct Listed {
    /// The objects as they came, so that one that is odd does not take the others with it.
    pub(super) items: Vec<Box<RawValue>>,
    /// Its resource version.
    pub(super) version: String,
}

#[derive(Deserialize)]
struct Page {
    metadata: PageMetadata,
    /// Go writes an empty list as null where nobody made one.
    items: Option<Vec<Box<RawValue>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

impl Connection {
    /// Reads every object that policy needs. Workloads are not read: their pods are there.
    ///
    /// # Errors
    /// The API server does not give one of the lists; the error names it.
    pub fn state(&self) -> Result<State, LiveError> {
        self.wait(async {
            let kinds = [NAMESPACES, NODES, SERVICES, SLICES, POLICIES, PODS];
            let lists = try_join_all(kinds.iter().map(|kind| self.list(kind))).await?;
            let mut reading = Reading { place: self.name(), snapshot: Snapshot::default() };
            let mut policies = String::new();
            for (kind, list) in kinds.iter().zip(lists) {
                if kind.kind == POLICIES.kind {
                    policies.clone_from(&list.version);
                }
                list.items.iter().for_each(|item| reading.take(kind, item.get()));
            }
            let mut snapshot = reading.snapshot;
            snapshot.note_emptiness();
            Ok(State { snapshot, policies })
        })
    }

    /// Every object of a kind, page by page.
    pub(super) async fn list(&self, resource: &Resource) -> Result<Listed, LiveError> {
        let client = self.client();
        let mut all = Listed { items: Vec::new(), version: String::new() };
        let mut parameters = ListParams { limit: Some(PAGE), ..ListParams::default() };
        parameters.field_selector = resource.fields.map(str::to_owned);
        parameters.label_selector = resource.labels.map(str::to_owned);
        loop {
            let page = self.page(&client, resource, &parameters).await;
            let page = match page {
                // The list took so long that its state is forgotten: what is left of it is read as it is now.
                Err(LiveError::Refused { code: 410, .. }) if parameters.continue_token.is_some() => {
                    parameters.continue_token = None;
                    all.items.clear();
                    continue;
                }
                page => page?,
            };
            all.version = page.metadata.resource_version;
            all.items.extend(page.items.unwrap_or_default());
            parameters.continue_token = page.metadata.next.filter(|token| !token.is_empty());
            if parameters.continue_token.is_none() {
                return Ok(all);
            }
        }
    }

    async fn page(
        &self,
        client: &Client,
        resource: &Resource,
        parameters: &ListParams,
    ) -> Result<Page, LiveError> {
        let odd = |reason: String| LiveError::Odd {
            server: self.server().to_owned(),
            resource: resource.name,
            reason,
        };
        let request = Request::new(resource.path).list(parameters).map_err(|e| odd(e.to_string()))?;
        client
            .request(request)
            .await
            .map_err(|error| LiveError::of(error, self.server(), "list", resource.name))
    }
}

/// Objects to a snapshot.
struct Reading<'a> {
    place: &'a str,
    snapshot: Snapshot,
}

/// Metadata, where the rest cannot be read.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    pub(super) metadata: Name,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Name {
    namespace: Option<String>,
    pub(super) name: String,
}

impl Reading<'_> {
    fn take(&mut self, resource: &Resource, json: &str) {
        match resource.kind {
            "Namespace" => self.object(resource, json, |object: &Namespace| {
                let is_ending = object.metadata.deletion_timestamp.is_some();
                admission::namespace(object).map(|namespace| (is_ending, Change::Namespace(namespace)))
            }),
            "Node" => {
                self.object(resource, json, |object: &Node| whole(admission::node(object).map(Change::Node)))
            }
            "Service" => {
                self.object(resource, json, |object: &Service| {
                    whole(admission::service(object).map(Change::Service))
                });
            }
            "NetworkPolicy" => self.object(resource, json, |object: &NetworkPolicy| {
                whole(admission::stored_policy(object).map(Change::Policy))
            }),
            "Pod" => {
                self.object(resource, json, |object: &Pod| whole(admission::pod(object).map(Change::Pod)))
            }
            _ => match serde_json::from_str::<ApiSlice>(json) {
                Ok(slice) => {
                    if let Some(slice) = EndpointSlice::from_api(&slice) {
                        self.snapshot.slices.entry(slice.service.clone()).or_default().push(slice);
                    }
                }
                Err(error) => self.unread(resource, json, &error),
            },
        }
    }

    /// Takes one object in. With `true`, it is a namespace that is being deleted.
    fn object<T: DeserializeOwned>(
        &mut self,
        resource: &Resource,
        json: &str,
        admit: impl FnOnce(&T) -> Result<(bool, Change), Rejection>,
    ) {
        match serde_json::from_str(json).map(|object| admit(&object)) {
            Ok(Ok((is_ending, change))) => {
                if let (true, Change::Namespace(namespace)) = (is_ending, &change) {
                    self.snapshot.terminating.insert(namespace.name.clone());
                }
                self.snapshot.cluster.apply(change);
            }
            Ok(Err(rejection)) => {
                let faults = rejection.problems.into_iter().map(|problem| Fault::stored(problem, self.place));
                self.snapshot.faults.extend(faults);
            }
            Err(error) => self.unread(resource, json, &error),
        }
    }

    fn unread(&mut self, resource: &Resource, json: &str, error: &serde_json::Error) {
        let Name { namespace, name } = serde_json::from_str::<Named>(json).unwrap_or_default().metadata;
        let object = match namespace {
            Some(namespace) => format!("{} {namespace}/{name}", resource.kind),
            None => format!("{} {name}", resource.kind),
        };
        self.snapshot.faults.push(Fault::unread(object, error.to_string(), self.place));
    }
}

fn whole(change: Result<Change, Rejection>) -> Result<(bool, Change), Rejection> {
    change.map(|change| (false, change))
}
