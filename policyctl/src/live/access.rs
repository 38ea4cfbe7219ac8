//! Which API server, and as whom.

use super::error::{LiveError, reasons};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use policy_model::manifest::nearest;
use std::{env, future::Future, path::PathBuf, sync::Arc, time::Duration};
use tokio::runtime::{Builder, Runtime};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a part of an answer may take.
const READ: Duration = Duration::from_secs(60);

/// What the command line says about the cluster.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// A kubeconfig instead of `$KUBECONFIG` and `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// A context of it instead of the current one.
    pub context: Option<String>,
    /// A user to ask as.
    pub user: Option<String>,
    /// Groups of that user.
    pub groups: Vec<String>,
}

/// An API server that can be asked.
pub struct Connection {
    runtime: Arc<Runtime>,
    client: Client,
    server: String,
    name: String,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Connection {
    /// Reads the credentials. The API server is not asked yet.
    ///
    /// # Errors
    /// There are none, or they cannot be used.
    pub fn open(access: &Access) -> Result<Self, LiveError> {
        if access.user.is_none() && !access.groups.is_empty() {
            return Err(LiveError::GroupsAlone);
        }
        let runtime = runtime()?;
        let (mut config, name) = runtime.block_on(configuration(access))?;
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(READ);
        // Whoever waits at a terminal wants to know.
        config.default_retry = false;
        if let Some(user) = &access.user {
            config.auth_info.impersonate = Some(user.clone());
            config.auth_info.impersonate_groups =
                Some(access.groups.clone()).filter(|groups| !groups.is_empty());
        }
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = {
            let _entered = runtime.enter();
            Client::try_from(config)
        };
        let client =
            client.map_err(|e| LiveError::Credentials { server: server.clone(), reason: reasons(&e) })?;
        Ok(Self { runtime: Arc::new(runtime), client, server, name })
    }

    /// The kubeconfig's context, or where else the credentials are from.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The API server's address.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(super) fn runtime(&self) -> Arc<Runtime> {
        self.runtime.clone()
    }

    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

/// One thread is enough for somebody who waits for answers.
pub(super) fn runtime() -> Result<Runtime, LiveError> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// The configuration, and what it is called.
async fn configuration(access: &Access) -> Result<(Config, String), LiveError> {
    let (kubeconfig, place) = match kubeconfig(access)? {
        Ok(found) => found,
        Err(looked) => {
            // As kubectl does in a pod.
            let inside = env::var_os("KUBERNETES_SERVICE_HOST").is_some() && access.context.is_none();
            return match inside.then(Config::incluster) {
                Some(Ok(config)) => Ok((config, "in-cluster".to_owned())),
                _ => Err(LiveError::NoKubeconfig { looked }),
            };
        }
    };
    let known: Vec<String> = kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
    let name = match access.context.as_ref().or(kubeconfig.current_context.as_ref()) {
        Some(name) if known.contains(name) => name.clone(),
        Some(name) if !name.is_empty() => {
            let meant = nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
            return Err(LiveError::NoContext { name: name.clone(), place, meant, known });
        }
        _ => return Err(LiveError::NoCurrentContext { place, known }),
    };
    let options = KubeConfigOptions { context: Some(name.clone()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let config = config.map_err(|e| LiveError::Kubeconfig { place, reason: reasons(&e) })?;
    Ok((config, name))
}

/// The kubeconfig and where it is; or where it was looked for.
fn kubeconfig(access: &Access) -> Result<Result<(Kubeconfig, String), Vec<String>>, LiveError> {
    let paths: Vec<PathBuf> = match (&access.kubeconfig, env::var_os("KUBECONFIG").filter(|v| !v.is_empty()))
    {
        (Some(path), _) if !path.exists() => return Err(LiveError::Missing(path.clone())),
        (Some(path), _) => vec![path.clone()],
        (None, Some(list)) => env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect(),
        (None, None) => env::home_dir().map(|home| home.join(".kube/config")).into_iter().collect(),
    };
    // Of a list those that are there count, as for kubectl.
    let mut merged: Option<Kubeconfig> = None;
    let mut read = Vec::new();
    for path in paths.iter().filter(|path| path.exists()) {
        let place = path.display().to_string();
        let unusable = |e| LiveError::Kubeconfig { place: place.clone(), reason: reasons(&e) };
        let next = Kubeconfig::read_from(path).map_err(unusable)?;
        merged = Some(match merged {
            None => next,
            Some(before) => before.merge(next).map_err(unusable)?,
        });
        read.push(place);
    }
    let looked = paths.iter().map(|path| path.display().to_string()).collect();
    Ok(merged.map(|kubeconfig| (kubeconfig, read.join(", "))).ok_or(looked))
}
