//! Follows one kind: a list, then a watch from there, for ever.

use super::{
    announced::Announced,
    backoff::{Backoff, spread},
    connection::Connection,
    decode::{self, Object},
    fault::Fault,
    kind::Kind,
    news::News,
    wire::{END_OF_LIST, Line, Mark, NamespaceItem, Page, What, plain_object},
};
use crate::source::intern::Interner;
use futures_util::AsyncBufReadExt;
use kube::{
    Client,
    api::{ListParams, WatchParams},
    core::{Request, Status},
};
use policy_model::object::ObjectKey;
use prometheus_client::metrics::counter::Counter;
use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tracing::{debug, error};

/// How long the API server may say nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Until an answer begins, or a page has arrived.
    answer: Duration,
    /// In the middle of a streaming list.
    list: Duration,
    /// In a watch. An API server sends a bookmark about once a minute, so more is a connection that died without a word;
    /// if it has only nothing to say, going on from the last version costs one request.
    watch: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let [answer, list, watch] = [30, 10, 100].map(Duration::from_secs);
        Self { answer, list, watch }
    }
}

/// A watch that ends sooner than this is waited after, so that a server which ends every watch at once is not flooded.
const SHORT: Duration = Duration::from_secs(1);
/// Objects in a page of a list.
const PAGE: u32 = 500;

pub(super) struct Follower {
    kind: Kind,
    connection: Arc<Connection>,
    news: mpsc::Sender<News>,
    /// Bytes of answers.
    read: Counter,
    announced: Announced,
    interner: Interner,
    /// What is wrong with objects that cannot be understood.
    problems: BTreeMap<ObjectKey, String>,
    /// Up to where everything has been told; `None`: it must be listed.
    version: Option<String>,
    backoff: Backoff,
    patience: Patience,
    in_trouble: bool,
}

impl Follower {
    pub(super) fn new(
        kind: Kind,
        connection: Arc<Connection>,
        news: mpsc::Sender<News>,
        read: Counter,
    ) -> Self {
        Self {
            kind,
            connection,
            news,
            read,
            announced: Announced::default(),
            interner: Interner::default(),
            problems: BTreeMap::new(),
            version: None,
            backoff: Backoff::default(),
            patience: Patience::default(),
            in_trouble: false,
        }
    }

    /// Until nobody listens.
    pub(super) async fn run(mut self) {
        while !self.news.is_closed() {
            let (client, number) = self.connection.client();
            if let Err(fault) = self.step(&client).await {
                self.recover_from(fault, number).await;
            }
        }
    }

    /// Lists or goes on, as far as it goes. Not an error: a watch that ended as watches do.
    async fn step(&mut self, client: &Client) -> Result<(), Fault> {
        let Some(version) = self.version.clone() else {
            self.announced.begin();
            return match self.watch(client, None).await {
                Err(fault) if self.version.is_none() && fault.is_about_streaming() => {
                    debug!(resource = self.kind.resource(), %fault, "no streaming list: listing page by page");
                    self.list(client).await
                }
                result => result,
            };
        };
        self.tell(News::Restarted(self.kind)).await;
        self.watch(client, Some(&version)).await
    }

    /// Says what is wrong, sees to it that it can become better, and waits.
    async fn recover_from(&mut self, fault: Fault, client: u64) {
        match &fault {
            Fault::Expired(_) => self.version = None,
            Fault::Unauthorized(_) => self.connection.renew(client).await,
            _ => {}
        }
        let wait = self.backoff.wait(fault.retry_after());
        self.in_trouble = true;
        self.tell(News::Trouble(self.kind, fault)).await;
        sleep(wait).await;
    }

    /// The API server answers.
    async fn works(&mut self) {
        if std::mem::take(&mut self.in_trouble) {
            self.tell(News::Recovered(self.kind)).await;
        }
    }

    async fn tell(&self, news: News) {
        // Nobody listens any more: `run` ends.
        let _ = self.news.send(news).await;
    }

    /// Watches from a version; without one, the list comes first over the same connection.
    async fn watch(&mut self, client: &Client, from: Option<&str>) -> Result<(), Fault> {
        let lasts = spread(Duration::from_secs(300), Duration::from_secs(300));
        let parameters = WatchParams {
            field_selector: self.kind.fields().map(str::to_owned),
            timeout: Some(lasts.as_secs() as u32),
            bookmarks: true,
            send_initial_events: from.is_none(),
            ..WatchParams::default()
        };
        // Without a version it is a consistent read.
        let request = Request::new(self.kind.path()).watch(&parameters, from.unwrap_or_default());
        let request = request.map_err(|e| self.odd(&e))?;
        let begin = Instant::now();
        let body = timeout(self.patience.answer, client.request_stream(request)).await;
        let body = body.map_err(|_| self.silent(self.patience.answer))?;
        let mut body = pin!(body.map_err(|e| Fault::of(self.kind.resource(), e))?);
        if self.version.is_some() {
            self.works().await;
        }
        let mut line = Vec::new();
        loop {
            line.clear();
            let patience = if self.version.is_some() { self.patience.watch } else { self.patience.list };
            let read = timeout(patience, body.read_until(b'\n', &mut line)).await;
            match read {
                Ok(Ok(length)) if line.ends_with(b"\n") => {
                    self.read.inc_by(length as u64);
                    self.line(&line).await?;
                    self.backoff.reset();
                }
                // The end, in the middle of a line or not, or a broken connection: what was told up to here stands.
                Ok(_) if self.version.is_some() => break,
                Ok(_) => return Err(Fault::Torn(self.kind.resource())),
                Err(_) if self.version.is_some() => {
                    debug!(resource = self.kind.resource(), "the watch is silent: connecting again");
                    break;
                }
                Err(_) => return Err(self.silent(patience)),
            }
        }
        if begin.elapsed() < SHORT {
            sleep(self.backoff.wait(None)).await;
        } else {
            self.backoff.reset();
        }
        Ok(())
    }

    async fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let seen = Instant::now();
        if let Some(json) = plain_object(line)
            && let Ok(object) = decode::object(self.kind, json, &mut self.interner)
        {
            let version = self.take(object, seen).await;
            self.at(version).await;
            return Ok(());
        }
        let line: Line<'_> = serde_json::from_slice(line).map_err(|e| self.odd(&e))?;
        let json = line.object.get();
        match line.what {
            What::Added | What::Modified => {
                let version = self.object(json, seen).await?;
                self.at(version).await;
            }
            What::Deleted => {
                let object = decode::object(self.kind, json, &mut self.interner).map_err(|e| self.odd(&e))?;
                if self.announced.remove(&object.key) {
                    self.delete(vec![object.key.clone()], seen).await;
                }
                self.forget_problem(&object.key).await;
                self.at(object.version).await;
            }
            What::Bookmark => {
                let mark: Mark = serde_json::from_str(json).map_err(|e| self.odd(&e))?;
                let is_end = mark.metadata.annotations.get(END_OF_LIST).is_some_and(|value| value == "true");
                if is_end && self.version.is_none() {
                    self.complete(mark.metadata.resource_version, seen).await;
                } else {
                    self.at(mark.metadata.resource_version).await;
                }
            }
            What::Error => {
                let status: Status = serde_json::from_str(json).map_err(|e| self.odd(&e))?;
                return Err(Fault::of_status(self.kind.resource(), status));
            }
        }
        Ok(())
    }

    /// Takes an object in, and gives its version.
    async fn object(&mut self, json: &str, seen: Instant) -> Result<String, Fault> {
        let object = decode::object(self.kind, json, &mut self.interner).map_err(|e| self.odd(&e))?;
        Ok(self.take(object, seen).await)
    }

    /// The same of one that has been read.
    async fn take(&mut self, object: Object, seen: Instant) -> String {
        match object.change {
            Ok(change) => {
                self.forget_problem(&object.key).await;
                if self.announced.announce(&object.key, &change) {
                    self.tell(News::Change { change, seen }).await;
                }
            }
            Err(why) => {
                self.announced.keep(&object.key);
                if self.problems.get(&object.key) != Some(&why) {
                    error!("{why}; it is not used, what was in force of it stays");
                    self.problems.insert(object.key, why);
                    self.tell(News::Problems(self.kind, self.problems.len())).await;
                }
            }
        }
        object.version
    }

    async fn forget_problem(&mut self, key: &ObjectKey) {
        if self.problems.remove(key).is_some() {
            self.tell(News::Problems(self.kind, self.problems.len())).await;
        }
    }

    /// Everything up to this version has been told, if there was a whole list before.
    async fn at(&mut self, version: String) {
        if self.version.is_some() {
            self.tell_version(&version).await;
            self.version = Some(version);
        }
    }

    /// The list is whole: what was not in it is gone.
    async fn complete(&mut self, version: String, seen: Instant) {
        let gone = self.announced.complete();
        for key in &gone {
            self.forget_problem(key).await;
        }
        self.delete(gone, seen).await;
        self.tell_version(&version).await;
        self.version = Some(version);
        self.tell(News::Complete(self.kind)).await;
        self.works().await;
    }

    async fn tell_version(&self, version: &str) {
        let Ok(version) = version.parse() else { return };
        match self.kind {
            Kind::Namespaces => self.tell(News::NamespacesAt(version)).await,
            Kind::Policies => self.tell(News::PoliciesAt(version)).await,
            Kind::Nodes | Kind::Services | Kind::Pods => {}
        }
    }

    /// Tells deletions.
    async fn delete(&mut self, keys: Vec<ObjectKey>, seen: Instant) {
        if keys.is_empty() {
            return;
        }
        if self.kind != Kind::Policies {
            for key in keys {
                self.tell(News::Change { change: decode::deletion(self.kind, key), seen }).await;
            }
            return;
        }
        let (version, alive) = loop {
            let (client, number) = self.connection.client();
            // Until it is known, the policies hold.
            match self.living_namespaces(&client, &keys).await {
                Ok(found) => break found,
                Err(fault) => self.recover_from(fault, number).await,
            }
        };
        for key in keys {
            let ending_at = (!alive.contains(&key.namespace)).then_some(version);
            self.tell(News::PolicyDeleted { key, ending_at, seen }).await;
        }
    }

    /// The namespaces that are not being deleted, of those that policies are deleted from, and the version of that state.
    async fn living_namespaces(
        &self,
        client: &Client,
        keys: &[ObjectKey],
    ) -> Result<(u64, BTreeSet<Arc<str>>), Fault> {
        let namespaces: BTreeSet<&Arc<str>> = keys.iter().map(|key| &key.namespace).collect();
        let mut parameters = ListParams::default();
        if let (Some(only), 1) = (namespaces.first(), namespaces.len()) {
            parameters = parameters.fields(&format!("metadata.name={only}"));
        }
        let text = self.page(client, Kind::Namespaces, &parameters).await?;
        let page: Page<'_> = serde_json::from_str(&text).map_err(|e| self.odd(&e))?;
        let mut alive = BTreeSet::new();
        for item in page.items.unwrap_or_default() {
            let NamespaceItem { metadata } = serde_json::from_str(item.get()).map_err(|e| self.odd(&e))?;
            if metadata.deletion_timestamp.is_none() {
                alive.insert(metadata.name);
            }
        }
        let version = page.metadata.resource_version.parse().map_err(|e| self.odd(&e))?;
        Ok((version, alive))
    }

    /// Lists page by page. All pages are of one state.
    async fn list(&mut self, client: &Client) -> Result<(), Fault> {
        let mut parameters = ListParams {
            field_selector: self.kind.fields().map(str::to_owned),
            limit: Some(PAGE),
            ..ListParams::default()
        };
        loop {
            let text = self.page(client, self.kind, &parameters).await?;
            let seen = Instant::now();
            let page: Page<'_> = serde_json::from_str(&text).map_err(|e| self.odd(&e))?;
            for item in page.items.unwrap_or_default() {
                self.object(item.get(), seen).await?;
            }
            self.backoff.reset();
            parameters.continue_token = page.metadata.next.filter(|token| !token.is_empty());
            if parameters.continue_token.is_none() {
                self.complete(page.metadata.resource_version, seen).await;
                return Ok(());
            }
        }
    }

    /// One page of a list, as JSON.
    async fn page(&self, client: &Client, kind: Kind, parameters: &ListParams) -> Result<String, Fault> {
        let request = Request::new(kind.path()).list(parameters).map_err(|e| self.odd(&e))?;
        match timeout(self.patience.answer, client.request_text(request)).await {
            Ok(answer) => {
                let answer = answer.map_err(|e| Fault::of(kind.resource(), e))?;
                self.read.inc_by(answer.len() as u64);
                Ok(answer)
            }
            Err(_) => Err(self.silent(self.patience.answer)),
        }
    }

    fn silent(&self, after: Duration) -> Fault {
        Fault::Silent { resource: self.kind.resource(), after }
    }

    fn odd(&self, error: &dyn std::fmt::Display) -> Fault {
        Fault::NotKubernetes { resource: self.kind.resource(), reason: error.to_string() }
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
