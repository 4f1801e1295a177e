//! Takes connections, and answers what is asked on each: one request a connection.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Response, StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::UnixStream,
    sync::{Semaphore, oneshot},
    time::{sleep, timeout},
};

use super::{Asks, GROUP, METRICS, STATUS, metrics, peer::Peer, socket::Socket};
use crate::model;

/// A request, with all its headers.
const BYTES: usize = 8 * 1024;
/// From the connection to the last byte of the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Connections at once.
const AT_ONCE: usize = 16;
/// Nobody can be taken (no descriptor is left, say): tried again after this.
const AGAIN: Duration = Duration::from_secs(1);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves until it is dropped. Whoever may not ask is told so.
pub async fn serve(socket: Socket, asks: Asks) {
    let router = router(asks);
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut told = false;
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let connection = match socket.listener.accept().await {
            Ok((connection, _)) => connection,
            Err(fault) => {
                if !told {
                    tracing::warn!(%fault, "cannot take a connection on the control socket");
                }
                told = true;
                sleep(AGAIN).await;
                continue;
            }
        };
        told = false;
        let (router, group) = (router.clone(), socket.group);
        tokio::spawn(async move {
            let _whoever_is_late_is_cut_off = timeout(PATIENCE, answer(connection, group, router)).await;
            drop(place);
        });
    }
}

fn router(asks: Asks) -> Router {
    Router::new()
        .route(STATUS, get(status))
        .route(METRICS, get(measured))
        .fallback(async || text(StatusCode::NOT_FOUND, format!("there are {STATUS} and {METRICS}\n")))
        .with_state(asks)
}

async fn answer(connection: UnixStream, group: Option<u32>, router: Router) {
    let allowed = Peer::of(&connection).is_ok_and(|peer| peer.may_read(group));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.clone();
        async move {
            if !allowed {
                let why = format!("only root and members of the group {GROUP} may ask\n");
                return Ok::<_, Infallible>(text(StatusCode::FORBIDDEN, why));
            }
            call(router, request).await
        }
    });
    let mut server = http1::Builder::new();
    let server =
        server.max_buf_size(BYTES).keep_alive(false).timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    if let Err(fault) = server.serve_connection(TokioIo::new(connection), service).await {
        tracing::debug!(%fault, "a connection on the control socket");
    }
}

fn call(
    router: Router,
    request: hyper::Request<Incoming>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> {
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;
    TowerToHyperService::new(router).call(request)
}

async fn status(State(asks): State<Asks>) -> Response<Body> {
    match ask(&asks).await {
        Some(status) => match serde_json::to_string(&status) {
            Ok(json) => typed(StatusCode::OK, JSON, json + "\n"),
            Err(fault) => {
                text(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot say it as JSON: {fault}\n"))
            }
        },
        None => silent(),
    }
}

async fn measured(State(asks): State<Asks>) -> Response<Body> {
    match ask(&asks).await {
        Some(status) => match metrics::text(&status) {
            Ok(metrics) => typed(StatusCode::OK, OPEN_METRICS, metrics),
            Err(fault) => {
                text(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot say it as metrics: {fault}\n"))
            }
        },
        None => silent(),
    }
}

async fn ask(asks: &Asks) -> Option<Box<model::Status>> {
    let (answer, answered) = oneshot::channel();
    asks.send(answer).await.ok()?;
    answered.await.ok()
}

fn silent() -> Response<Body> {
    text(StatusCode::SERVICE_UNAVAILABLE, "watchdog is ending\n".to_owned())
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    typed(status, TEXT, text)
}

fn typed(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, axum::http::HeaderValue::from_static(kind));
    response
}
