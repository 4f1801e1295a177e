//! Lets people look at a running watchdog and tell it something: the control socket, and the way from there to the engine.

use std::path::Path;

use tokio::sync::{mpsc, oneshot};

use super::complain;
use crate::{
    control::{self, Ask, Place, Socket},
    engine::Request,
    stream::Tap,
};

/// Told once the new configuration is in force, or why it is not.
pub(super) type Reloaded = oneshot::Sender<Result<(), String>>;

/// Listens there until the runtime ends; the socket's file is gone when what this returns is dropped. Where nobody can listen,
/// that is said once, and the run goes on.
pub(super) fn serve(
    path: &Path,
    requests: mpsc::Sender<Request>,
    reloads: mpsc::Sender<Reloaded>,
    tap: Tap,
) -> Option<Place> {
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
    tokio::spawn(control::serve(socket, asks, tap));
    tokio::spawn(async move {
        while let Some(ask) = asked.recv().await {
            let request = match ask {
                Ask::Status(answer) => Request::Status { answer },
                Ask::Change(change, answer) => Request::Change { change, answer },
                Ask::Audit(audit) => Request::Audit(audit),
                Ask::Reload(answer) => {
                    // not waited for: others are answered while one is under way
                    if let Err(full) = reloads.try_send(answer) {
                        let busy = "too many reloads are asked for at once: try again".to_owned();
                        full.into_inner().send(Err(busy)).ok();
                    }
                    continue;
                }
            };
            if requests.send(request).await.is_err() {
                return;
            }
        }
    });
    Some(place)
}
