//! Asks the runtime, again and again, in a thread of its own.

use super::{
    client::Client,
    error::CriError,
    sandbox::claim,
    socket::RuntimeSocket,
    state::{Answer, State, Watched},
};
use crate::node::{
    cni::Attachment,
    sandboxes::{Ids, Sandboxes},
};
use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
    time::{Instant, sleep, timeout_at},
};
use tracing::debug;

/// Sandboxes are listed this often.
const EVERY: Duration = Duration::from_secs(10);
/// After a result has gone they are listed once it has been quiet for this long: most have gone with their pod.
const QUIET: Duration = Duration::from_millis(200);
/// A runtime that does not answer is asked again after this long, and then less and less often.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// Asks at once and from then on, and tells the host's thread. `changed` is called where `watched` is another in a way that
/// people should hear of.
///
/// # Errors
/// There is no thread to be had.
pub fn follow(
    socket: RuntimeSocket,
    sandboxes: Sandboxes,
    watched: Watched,
    changed: impl Fn() + Send + 'static,
) -> io::Result<()> {
    let runtime = runtime()?;
    let work = async move {
        let mut named = sandboxes.named();
        let mut asker = Asker::new(socket);
        let mut retry = FIRST_RETRY;
        loop {
            let ids = named.borrow_and_update().clone();
            let state = asker.ask(&ids).await;
            // What one has said that is silent now stays.
            let answers = match &state {
                State::Answers(answer) => {
                    sandboxes.tell(answer.claims.clone());
                    retry = FIRST_RETRY;
                    true
                }
                _ => false,
            };
            debug!(?state, "the container runtime");
            if watched.set(state) {
                changed();
            }
            if answers {
                wait(&mut named, &ids, Instant::now() + EVERY).await;
            } else {
                sleep(retry).await;
                retry = (retry * 2).min(LAST_RETRY);
            }
        }
    };
    thread::Builder::new().name("cri".into()).spawn(move || runtime.block_on(work)).map(drop)
}

/// Asks once: how the runtime is, and what its sandboxes claim that no file names.
///
/// # Errors
/// The kernel gives no file descriptors.
pub fn look_once(socket: RuntimeSocket, named: &Ids) -> io::Result<State> {
    Ok(runtime()?.block_on(Asker::new(socket).ask(named)))
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Until it is time, or files that named a sandbox have gone.
async fn wait(named: &mut watch::Receiver<Ids>, before: &Ids, until: Instant) {
    while let Ok(Ok(())) = timeout_at(until, named.changed()).await {
        if before.is_subset(&named.borrow_and_update()) {
            continue;
        }
        // More may go, with their pods.
        while let Ok(Ok(())) = timeout_at((Instant::now() + QUIET).min(until), named.changed()).await {}
        return;
    }
}

/// Holds the connection, and what each sandbox has said: its network never changes.
struct Asker {
    socket: RuntimeSocket,
    open: Option<(PathBuf, String, Client)>,
    known: BTreeMap<Arc<str>, Result<Option<Attachment>, String>>,
}

impl Asker {
    fn new(socket: RuntimeSocket) -> Self {
        Self { socket, open: None, known: BTreeMap::new() }
    }

    fn claims(&self) -> Vec<Attachment> {
        self.known.values().filter_map(|said| said.as_ref().ok().cloned().flatten()).collect()
    }

    async fn ask(&mut self, named: &Ids) -> State {
        let (socket, runtime, mut client) = match self.open.take() {
            Some(open) => open,
            None => match self.connect().await {
                Ok(open) => open,
                Err(state) => return state,
            },
        };
        match self.list(&mut client, named).await {
            Ok(ready) => {
                let claims = self.claims();
                let silent =
                    self.known.iter().find_map(|(id, said)| Some(format!("{id}: {}", said.as_ref().err()?)));
                let answer =
                    Answer { socket: socket.clone(), runtime: runtime.clone(), ready, claims, silent };
                self.open = Some((socket, runtime, client));
                State::Answers(answer)
            }
            Err(error) => State::failed(socket, &error),
        }
    }

    /// The first that answers, else why the last does not.
    async fn connect(&self) -> Result<(PathBuf, String, Client), State> {
        let mut failed = State::NotFound;
        for socket in self.socket.candidates() {
            let greeted = async {
                let mut client = Client::connect(&socket).await?;
                let runtime = client.version().await?;
                Ok::<_, CriError>((runtime, client))
            };
            match greeted.await {
                Ok((runtime, client)) => return Ok((socket, runtime, client)),
                Err(error) => failed = State::failed(socket, &error),
            }
        }
        Err(failed)
    }

    /// Gives how many sandboxes are ready.
    async fn list(&mut self, client: &mut Client, named: &Ids) -> Result<usize, CriError> {
        let ready = client.ready().await?;
        let listed: HashSet<&str> = ready.iter().map(String::as_str).collect();
        self.known.retain(|id, _| listed.contains(&**id) && !named.contains(id));
        for id in &ready {
            if named.contains(id.as_str()) || self.known.contains_key(id.as_str()) {
                continue;
            }
            let Some(status) = client.status(id).await? else { continue };
            let said = claim(&status).map_err(|error| error.to_string());
            debug!(id, ?said, "a sandbox that no result names");
            self.known.insert(id.as_str().into(), said);
        }
        Ok(ready.len())
    }
}
