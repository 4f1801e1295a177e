//! The event stream, for those who look on.
//!
//! One who does not read is told what it missed; one who reads nothing for long is let go. Neither holds up anybody.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Body,
    http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE},
};
use futures_util::stream;
use hyper::body::Bytes;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

use super::{peer::Peer, reply::fault};
use crate::stream::{Lines, Tap};

/// So many may look on at once.
const AT_ONCE: usize = 8;
/// The same of root alone, whom nobody else keeps out.
const OF_ROOT: usize = 4;
/// Whoever takes nothing for so long is let go.
const STUCK: Duration = Duration::from_secs(60);
/// Lines between the stream and a connection: what does not fit waits in the stream, where it is bounded.
const WAITING: usize = 16;

/// What those who look on share.
#[derive(Clone)]
pub(super) struct Gallery {
    tap: Tap,
    room: Arc<Semaphore>,
    of_root: Arc<Semaphore>,
}

impl Gallery {
    pub(super) fn new(tap: Tap) -> Gallery {
        Gallery { tap, room: Arc::new(Semaphore::new(AT_ONCE)), of_root: Arc::new(Semaphore::new(OF_ROOT)) }
    }
}

/// How long a connection may last: an answer has its time, a stream has no end.
#[derive(Default)]
pub(super) struct Leash {
    loose: Notify,
    cut: Notify,
}

impl Leash {
    /// Comes when the connection's answer is known to have no end.
    pub(super) async fn loose(&self) {
        self.loose.notified().await;
    }

    /// Comes when whoever looks on does not read.
    pub(super) async fn cut(&self) {
        self.cut.notified().await;
    }
}

pub(super) async fn events(
    Extension(gallery): Extension<Gallery>,
    Extension(leash): Extension<Arc<Leash>>,
    Extension(peer): Extension<Peer>,
) -> Response<Body> {
    let (room, most) = if peer.may_write() { (&gallery.of_root, OF_ROOT) } else { (&gallery.room, AT_ONCE) };
    let Ok(place) = room.clone().try_acquire_owned() else {
        let full = format!("{most} look on already");
        return fault(StatusCode::SERVICE_UNAVAILABLE, full, "end one of them, or read what is kept");
    };
    leash.loose.notify_one();
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(pass_on(gallery.tap.look_on(), sender, leash, place));
    let lines = stream::unfold(receiver, |mut receiver| async {
        let line = receiver.recv().await?;
        Some((Ok::<Bytes, Infallible>(line), receiver))
    });
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
}

async fn pass_on(
    mut lines: Lines,
    sender: mpsc::Sender<Bytes>,
    leash: Arc<Leash>,
    _place: OwnedSemaphorePermit,
) {
    loop {
        let line = tokio::select! {
            line = lines.next() => line,
            () = sender.closed() => return,
        };
        let Some(line) = line else { return };
        match timeout(STUCK, sender.send(Bytes::copy_from_slice(&line))).await {
            Ok(Ok(())) => {}
            Ok(Err(_gone)) => return,
            Err(_stuck) => {
                leash.cut.notify_one();
                return;
            }
        }
    }
}
