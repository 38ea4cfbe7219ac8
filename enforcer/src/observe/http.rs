//! Health, metrics and answers over HTTP.

use super::{metrics::Metrics, verdict::VerdictQuery};
use crate::apply::{Input, Question};
use axum::{
    Json, Router,
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, mpsc::Sender},
};
use tokio::{net::TcpListener, sync::oneshot};

/// OpenMetrics' text format.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct Shared {
    metrics: Arc<Metrics>,
    inputs: Sender<Input>,
}

impl Shared {
    /// Asks the loop. `None`: it has ended.
    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.inputs.send(Input::Ask(question(sender))).ok()?;
        receiver.await.ok()
    }
}

/// Serves until the future is dropped.
///
/// # Errors
/// The listener fails.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>, inputs: Sender<Input>) -> io::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_page))
        .route("/v1/kernel", get(kernel))
        .route("/v1/programs", get(programs))
        .route("/v1/verdict", get(verdict))
        .with_state(Shared { metrics, inputs });
    axum::serve(listener, routes).await
}

/// Listens at an address.
///
/// # Errors
/// The address is in use, or is not this host's.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

async fn ready(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if shared.metrics.is_ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no revision is in force yet\n")
    }
}

async fn metrics_page(State(shared): State<Shared>) -> Response {
    if let Some(Some(counters)) = shared.ask(Question::Counters).await {
        shared.metrics.set_dropped(&counters);
    }
    match shared.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(e) => problem(StatusCode::INTERNAL_SERVER_ERROR, &e.to_string()),
    }
}

async fn programs(State(shared): State<Shared>) -> Response {
    match shared.ask(Question::Programs).await {
        Some(programs) => Json(programs).into_response(),
        None => stopping(),
    }
}

async fn kernel(State(shared): State<Shared>) -> Response {
    match shared.ask(Question::Kernel).await {
        Some(Ok(readback)) => Json(readback).into_response(),
        Some(Err(error)) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        None => stopping(),
    }
}

async fn verdict(
    State(shared): State<Shared>,
    query: Result<Query<VerdictQuery>, QueryRejection>,
) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    let flow = match query.flow() {
        Ok(flow) => flow,
        Err(what) => return problem(StatusCode::BAD_REQUEST, &what),
    };
    match shared.ask(|answer| Question::Verdict(Box::new(flow.clone()), answer)).await {
        Some(verdict) => Json(query.answer(&flow, &verdict)).into_response(),
        None => stopping(),
    }
}

fn stopping() -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "policyd has no revision in force yet, or is stopping")
}

fn problem(status: StatusCode, what: &str) -> Response {
    (status, Json(json!({ "error": what }))).into_response()
}
