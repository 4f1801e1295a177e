//! Looks on at a running watchdog's events, for the commands.

use std::{ops::ControlFlow, path::Path, time::Duration};

use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Request, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::HOST,
};
use hyper_util::rt::TokioIo;
use tokio::{task::JoinHandle, time::timeout};

use super::{
    EVENTS, Error,
    client::{connect, no_answer},
};

/// The head of the answer comes at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// No record is longer.
const LONGEST: usize = 64 * 1024 * 1024;

/// Someone who looks on.
pub struct Onlooker {
    body: Incoming,
    driving: JoinHandle<()>,
}

/// Looks on from now on.
///
/// # Errors
/// Nobody listens there, or not to this user, or there is no room.
pub async fn look_on(socket: &Path) -> Result<Onlooker, Error> {
    let begun = timeout(PATIENCE, begin(socket)).await;
    begun.unwrap_or_else(|_| Err(no_answer(socket, format!("nothing came within {PATIENCE:?}"))))
}

async fn begin(socket: &Path) -> Result<Onlooker, Error> {
    let connection = connect(socket).await?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(connection)).await.map_err(|fault| no_answer(socket, fault))?;
    let request = Request::get(EVENTS).header(HOST, "watchdog").body(Empty::<Bytes>::new());
    let request = request.map_err(|fault| no_answer(socket, fault))?;
    let driving = tokio::spawn(async move { drop(connection.await) });
    let response = sender.send_request(request).await.map_err(|fault| no_answer(socket, fault))?;
    match response.status() {
        StatusCode::OK => Ok(Onlooker { body: response.into_body(), driving }),
        StatusCode::FORBIDDEN => Err(Error::NotAllowed { path: socket.to_owned() }),
        other => {
            let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            if let Ok(fault) = serde_json::from_slice(&body) {
                return Err(Error::Refused { status: other.as_u16(), fault });
            }
            Err(no_answer(socket, format!("{other}: {}", String::from_utf8_lossy(&body).trim())))
        }
    }
}

impl Onlooker {
    /// Hands each line over, without its newline, until that one has enough or the stream ends.
    pub async fn each(mut self, mut take: impl FnMut(&str) -> ControlFlow<()>) {
        let mut rest: Vec<u8> = Vec::new();
        while let Some(Ok(frame)) = self.body.frame().await {
            let Ok(bytes) = frame.into_data() else { continue };
            rest.extend_from_slice(&bytes);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                if take(String::from_utf8_lossy(&line[..end]).as_ref()).is_break() {
                    return;
                }
            }
            if rest.len() > LONGEST {
                return;
            }
        }
    }
}

impl Drop for Onlooker {
    fn drop(&mut self) {
        self.driving.abort();
    }
}
