//! One question over a connection that is there already.

use super::error::reasons;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1,
    header::{CONNECTION, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// A table of a million elements is some 40 MB.
const MOST: usize = 256 << 20;

/// GETs a path. What is not 200 is an error with what the other end says.
pub(super) async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
) -> Result<Bytes, String> {
    let text = |error: &(dyn std::error::Error + 'static)| reasons(error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| text(&e))?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path)
        .header(HOST, "policyd")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| text(&e))?;
    let response = sender.send_request(request).await.map_err(|e| text(&e))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MOST).collect().await;
    connection.abort();
    let body = body.map_err(|e| format!("the answer to {path} is cut short: {e}"))?.to_bytes();
    match status {
        StatusCode::OK => Ok(body),
        StatusCode::NOT_FOUND => Err(format!("it does not know {path}: it is older than this policyctl")),
        status => {
            let said = serde_json::from_slice::<serde_json::Value>(&body).ok();
            let said = said.as_ref().and_then(|said| said["error"].as_str()).unwrap_or_default();
            Err(format!("it answers {status} to {path}: {said}"))
        }
    }
}
