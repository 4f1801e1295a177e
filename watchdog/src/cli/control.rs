//! Lets people look at a running watchdog: the control socket, and the way from there to the engine.

use std::path::Path;

use tokio::sync::mpsc;

use super::complain;
use crate::{
    control::{self, Place, Socket},
    engine::Request,
};

/// Listens there until the runtime ends; the socket's file is gone when what this returns is dropped. Where nobody can listen,
/// that is said once, and the run goes on.
pub(super) fn serve(path: &Path, requests: mpsc::Sender<Request>) -> Option<Place> {
    let (socket, place) = match Socket::bind(path) {
        Ok(bound) => bound,
        Err(fault) => {
            complain(format_args!(
                "{fault}; services are watched all the same, `watchdog status` does not work"
            ));
            return None;
        }
    };
    let (asks, mut asked) = mpsc::channel(1);
    tokio::spawn(control::serve(socket, asks));
    tokio::spawn(async move {
        while let Some(answer) = asked.recv().await {
            if requests.send(Request::Status { answer }).await.is_err() {
                return;
            }
        }
    });
    Some(place)
}
