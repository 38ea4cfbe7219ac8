//! The few requests that reports are made of.

use crate::source::kube::{Connection, Fault};
use kube::{
    api::{GetParams, ListParams, Patch, PatchParams},
    core::Request,
};
use serde::Deserialize;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// Whose fields they are, by server-side apply.
const MANAGER: &str = "palisade";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes and reads single objects.
#[derive(Clone, Debug)]
pub(super) struct Api {
    connection: Arc<Connection>,
}

/// A kind of objects in one namespace.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// As RBAC names it.
    pub(super) resource: &'static str,
    /// Where they are.
    pub(super) path: String,
}

/// An object as an API server gives it back, with only what counts here.
#[derive(Debug, Deserialize)]
pub(super) struct Stored {
    pub(super) metadata: Metadata,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) uid: String,
    pub(super) resource_version: String,
    #[serde(default)]
    pub(super) annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct List {
    items: Option<Vec<Stored>>,
}

impl Api {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self { connection }
    }

    /// Server-side apply: makes the object, or changes the fields in `body`.
    pub(super) async fn apply(&self, place: &Place, name: &str, body: &Value) -> Result<Stored, Fault> {
        let parameters = PatchParams::apply(MANAGER).force();
        let request = Request::new(&place.path).patch(name, &parameters, &Patch::Apply(body));
        self.ask(place, request).await
    }

    /// One object.
    pub(super) async fn get(&self, place: &Place, name: &str) -> Result<Stored, Fault> {
        self.ask(place, Request::new(&place.path).get(name, &GetParams::default())).await
    }

    /// An object's uid, with no more than the right to list; `None`: there is none of this name.
    pub(super) async fn uid(&self, place: &Place, name: &str) -> Result<Option<String>, Fault> {
        let parameters = ListParams::default().fields(&format!("metadata.name={name}"));
        let list: List = self.ask(place, Request::new(&place.path).list(&parameters)).await?;
        Ok(list.items.unwrap_or_default().pop().map(|object| object.metadata.uid))
    }

    async fn ask<T, E>(
        &self,
        place: &Place,
        request: Result<axum::http::Request<Vec<u8>>, E>,
    ) -> Result<T, Fault>
    where
        T: serde::de::DeserializeOwned,
        E: std::fmt::Display,
    {
        let resource = place.resource;
        let odd = |reason: String| Fault::NotKubernetes { resource, reason };
        let request = request.map_err(|e| odd(e.to_string()))?;
        let (client, number) = self.connection.client();
        let answer = timeout(PATIENCE, client.request_text(request)).await;
        let answer = answer.map_err(|_| Fault::Silent { resource, after: PATIENCE })?;
        match answer.map_err(|error| Fault::of(resource, error)) {
            Ok(text) => serde_json::from_str(&text).map_err(|e| odd(e.to_string())),
            Err(fault) => {
                if matches!(fault, Fault::Unauthorized(_)) {
                    self.connection.renew(number).await;
                }
                Err(fault)
            }
        }
    }
}
