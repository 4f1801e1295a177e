//! Takes connections, and answers what is asked on each: one request a connection.

use std::{
    convert::Infallible,
    future::Future,
    io::Write as _,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Request, State},
    http::{Method, Response, StatusCode},
    routing::{get, post},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::UnixStream,
    sync::{Semaphore, oneshot},
    time::{sleep, timeout},
};

use super::{
    Ask, Asks, DRILL, EVENTS, GROUP, METRICS, PAUSE, RELOAD, RESTART, RESUME, STATUS,
    events::{self, Gallery, Leash},
    metrics,
    peer::Peer,
    reply::{BUSY, fault, json, typed},
    socket::Socket,
    write::{self, Refusals},
};
use crate::{model, stream::Tap};

/// A request, with all its headers.
const BYTES: usize = 8 * 1024;
/// From the connection to the last byte of the answer, for who may only read; the same for the engine's answer to anyone.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// The same for root, who may have to wait until a configuration is read.
const LONG: Duration = Duration::from_secs(60);
/// Connections at once.
const AT_ONCE: usize = 16;
/// The same of root alone.
const OF_ROOT: usize = 8;
/// Nobody can be taken (no descriptor is left, say): tried again after this.
const AGAIN: Duration = Duration::from_secs(1);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What every request is answered with.
#[derive(Clone, Debug)]
pub(super) struct Api {
    pub(super) asks: Asks,
    pub(super) refusals: Arc<Mutex<Refusals>>,
}

/// Serves until it is dropped. Whoever may not ask is told so.
pub async fn serve(socket: Socket, asks: Asks, tap: Tap) {
    let api = Api { asks, refusals: Arc::default() };
    let router = router(api.clone()).layer(Extension(Gallery::new(tap)));
    let (room, of_root) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(Semaphore::new(OF_ROOT)));
    let mut told = false;
    loop {
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
        let Ok(peer) = Peer::of(&connection) else { continue };
        let (room, patience) = if peer.may_write() { (&of_root, LONG) } else { (&room, PATIENCE) };
        let Ok(place) = room.clone().try_acquire_owned() else {
            // it does not block, and there is room for it: nothing was written before
            let _whoever_is_gone_needs_no_answer = connection.into_std().and_then(|mut it| it.write(BUSY));
            continue;
        };
        let (router, api, group) = (router.clone(), api.clone(), socket.group);
        tokio::spawn(async move {
            let leash = Arc::new(Leash::default());
            let mut answered = pin!(answer(connection, peer, group, api, router, leash.clone()));
            let looks_on = tokio::select! {
                _whoever_is_late_is_cut_off = timeout(patience, &mut answered) => false,
                () = leash.loose() => true,
            };
            drop(place); // those who look on have a room of their own
            if looks_on {
                tokio::select! {
                    () = answered => {}
                    () = leash.cut() => {}
                }
            }
        });
    }
}

fn router(api: Api) -> Router {
    let only_post = "this changes something: send it with POST (`curl -X POST`)";
    let paths = format!(
        "there are {STATUS}, {METRICS}, {EVENTS}, and for root {PAUSE}, {RESUME}, {RESTART}, {DRILL} and {RELOAD}"
    );
    Router::new()
        .route(STATUS, get(status))
        .route(METRICS, get(measured))
        .route(EVENTS, get(events::events))
        .route(PAUSE, post(write::pause))
        .route(RESUME, post(write::resume))
        .route(RESTART, post(write::restart))
        .route(DRILL, post(write::drill))
        .route(RELOAD, post(write::reload))
        .method_not_allowed_fallback(async move |method: Method| {
            let help = if method == Method::GET { only_post } else { "this is only read: send it with GET" };
            fault(StatusCode::METHOD_NOT_ALLOWED, format!("{method} does not go here"), help)
        })
        .fallback(async move || fault(StatusCode::NOT_FOUND, "there is nothing of this name", paths))
        .with_state(api)
}

async fn answer(
    connection: UnixStream,
    peer: Peer,
    group: Option<u32>,
    api: Api,
    router: Router,
    leash: Arc<Leash>,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (router, peer, api, leash) = (router.clone(), peer.clone(), api.clone(), leash.clone());
        async move {
            let reads = matches!(*request.method(), Method::GET | Method::HEAD);
            let allowed = if reads { peer.may_read(group) } else { peer.may_write() };
            if !allowed {
                let may = match reads {
                    true => format!("only root and members of the group {GROUP} may ask"),
                    false => "only root may change something".to_owned(),
                };
                if !reads {
                    write::refused(&api, &peer, request.uri().path(), &may).await;
                }
                return Ok::<_, Infallible>(fault(StatusCode::FORBIDDEN, may, "try `sudo`"));
            }
            let (mut parts, body) = request.into_parts();
            parts.extensions.insert(peer);
            parts.extensions.insert(leash);
            call(router, Request::from_parts(parts, Body::new(body))).await
        }
    });
    let mut server = http1::Builder::new();
    let server =
        server.max_buf_size(BYTES).keep_alive(false).timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    if let Err(fault) = server.serve_connection(TokioIo::new(connection), service).await {
        tracing::debug!(%fault, "a connection on the control socket");
    }
}

fn call(router: Router, request: Request) -> impl Future<Output = Result<Response<Body>, Infallible>> {
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;
    TowerToHyperService::new(router).call(request)
}

async fn status(State(api): State<Api>) -> Response<Body> {
    match api.status().await {
        Some(status) => json(StatusCode::OK, &status),
        None => silent(),
    }
}

async fn measured(State(api): State<Api>) -> Response<Body> {
    match api.status().await.as_deref().map(metrics::text) {
        Some(Ok(metrics)) => typed(StatusCode::OK, OPEN_METRICS, metrics),
        Some(Err(why)) => {
            fault(StatusCode::INTERNAL_SERVER_ERROR, "cannot say it as metrics", why.to_string())
        }
        None => silent(),
    }
}

impl Api {
    pub(super) async fn status(&self) -> Option<Box<model::Status>> {
        let (answer, answered) = oneshot::channel();
        self.ask(Ask::Status(answer), answered, PATIENCE).await
    }

    /// Asks, and waits for the answer. `None`: it does not come in time, or the engine is ending.
    pub(super) async fn ask<T>(
        &self,
        ask: Ask,
        answered: oneshot::Receiver<T>,
        patience: Duration,
    ) -> Option<T> {
        let asked = async {
            self.asks.send(ask).await.ok()?;
            answered.await.ok()
        };
        timeout(patience, asked).await.ok().flatten()
    }
}

pub(super) fn silent() -> Response<Body> {
    fault(
        StatusCode::SERVICE_UNAVAILABLE,
        "watchdog does not answer itself",
        format!(
            "it is ending, or the host is very busy: see `systemctl status {}`",
            crate::systemd::own_unit()
        ),
    )
}
