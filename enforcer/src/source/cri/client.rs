//! A client of `runtime.v1.RuntimeService` at a socket: three of its methods.

use super::{
    error::CriError,
    proto::{
        ListPodSandboxRequest, ListPodSandboxResponse, PodSandbox, PodSandboxFilter, PodSandboxStateValue,
        PodSandboxStatusRequest, PodSandboxStatusResponse, SandboxState, VersionRequest, VersionResponse,
    },
};
use http::{Request, Response, Uri, uri::PathAndQuery};
use hyper::{
    body::Incoming,
    client::conn::http2::{SendRequest, handshake},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    future::Future,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{net::UnixStream, time::timeout};
use tonic::{Code, body::Body, client::Grpc};
use tonic_prost::ProstCodec;
use tower_service::Service;

/// How long one answer may take. A runtime that is busy starting pods takes a second at most.
const LIMIT: Duration = Duration::from_secs(5);
/// What the kubelet takes from a runtime in one message.
const LARGEST: usize = 16 << 20;

/// One connection. It is of no use any more once a call has failed but for [`CriError::Refused`].
pub(super) struct Client {
    grpc: Grpc<Connection>,
}

/// HTTP/2 over the socket, without tonic's own pool of connections.
struct Connection(SendRequest<Body>);

impl Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

impl Client {
    /// Connects. The runtime is not asked anything yet.
    ///
    /// # Errors
    /// Nobody listens, or not with HTTP/2.
    pub(super) async fn connect(socket: &Path) -> Result<Self, CriError> {
        let call = "a connection";
        let connecting = async {
            let stream = UnixStream::connect(socket).await?;
            let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
            Ok::<_, CriError>((sender, connection))
        };
        let (sender, connection) =
            timeout(LIMIT, connecting).await.map_err(|_| CriError::Silent { call, limit: LIMIT })??;
        // Its end is seen by the next call.
        tokio::spawn(connection);
        // What a server sees as the name that it was called by; no server of CRI looks at it.
        let origin = Uri::from_static("http://localhost");
        let grpc = Grpc::with_origin(Connection(sender), origin).max_decoding_message_size(LARGEST);
        Ok(Self { grpc })
    }

    /// Name and version of the runtime.
    pub(super) async fn version(&mut self) -> Result<String, CriError> {
        let path = PathAndQuery::from_static("/runtime.v1.RuntimeService/Version");
        let answer: VersionResponse = self.call("Version", path, VersionRequest {}).await?;
        Ok(format!("{} {}", answer.runtime_name, answer.runtime_version))
    }

    /// Ids of the sandboxes that are ready.
    pub(super) async fn ready(&mut self) -> Result<Vec<String>, CriError> {
        let path = PathAndQuery::from_static("/runtime.v1.RuntimeService/ListPodSandbox");
        let state = Some(PodSandboxStateValue { state: SandboxState::Ready as i32 });
        let request = ListPodSandboxRequest { filter: Some(PodSandboxFilter { state }) };
        let answer: ListPodSandboxResponse = self.call("ListPodSandbox", path, request).await?;
        let ready = |sandbox: &PodSandbox| sandbox.state == SandboxState::Ready as i32;
        Ok(answer.items.into_iter().filter(ready).map(|sandbox| sandbox.id).collect())
    }

    /// All that the runtime tells of a sandbox. `None`: it has gone meanwhile.
    pub(super) async fn status(&mut self, id: &str) -> Result<Option<PodSandboxStatusResponse>, CriError> {
        let path = PathAndQuery::from_static("/runtime.v1.RuntimeService/PodSandboxStatus");
        let request = PodSandboxStatusRequest { pod_sandbox_id: id.into(), verbose: true };
        match self.call("PodSandboxStatus", path, request).await {
            Err(CriError::Refused { code: Code::NotFound, .. }) => Ok(None),
            answer => answer.map(Some),
        }
    }

    async fn call<Q, A>(&mut self, call: &'static str, path: PathAndQuery, request: Q) -> Result<A, CriError>
    where
        Q: prost::Message + Default + 'static,
        A: prost::Message + Default + 'static,
    {
        let answer = async {
            self.grpc.ready().await?;
            let codec = ProstCodec::<Q, A>::default();
            let answer = self.grpc.unary(tonic::Request::new(request), path, codec).await;
            answer.map_err(|status| CriError::Refused {
                call,
                code: status.code(),
                message: status.message().into(),
            })
        };
        let answer = timeout(LIMIT, answer).await.map_err(|_| CriError::Silent { call, limit: LIMIT })??;
        Ok(answer.into_inner())
    }
}
