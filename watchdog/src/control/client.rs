//! Asks a running watchdog, for the commands.

use std::{
    io::{self, ErrorKind},
    path::Path,
    time::Duration,
};

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, time::timeout};

use super::Error;

/// An engine that decides answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than a thousand services have to say.
const BYTES: usize = 64 * 1024 * 1024;

/// What a running watchdog answers there.
pub async fn get(socket: &Path, path: &str) -> Result<Bytes, Error> {
    let asked = timeout(PATIENCE, ask(socket, path)).await;
    asked.unwrap_or_else(|_| Err(no_answer(socket, format!("nothing came within {PATIENCE:?}"))))
}

async fn ask(socket: &Path, path: &str) -> Result<Bytes, Error> {
    let here = || socket.to_owned();
    let unreached = |fault: io::Error| {
        let kind = fault.kind();
        if matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused) {
            return Error::NotRunning { path: here() };
        }
        if kind == ErrorKind::PermissionDenied {
            return Error::NotAllowed { path: here() };
        }
        no_answer(socket, fault)
    };
    let connection = UnixStream::connect(socket).await.map_err(unreached)?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(connection)).await.map_err(|fault| no_answer(socket, fault))?;
    let request = Request::get(path).header(HOST, "watchdog").body(Empty::<Bytes>::new());
    let request = request.map_err(|fault| no_answer(socket, fault))?;
    let driving = tokio::spawn(connection);
    let answered = async {
        let response = sender.send_request(request).await.map_err(|fault| no_answer(socket, fault))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BYTES).collect().await;
        let body = body.map_err(|fault| no_answer(socket, fault))?.to_bytes();
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::FORBIDDEN => Err(Error::NotAllowed { path: here() }),
            other => Err(no_answer(socket, format!("{other}: {}", String::from_utf8_lossy(&body).trim()))),
        }
    };
    let answered = answered.await;
    driving.abort();
    answered
}

fn no_answer(socket: &Path, why: impl ToString) -> Error {
    Error::NoAnswer { path: socket.to_owned(), why: why.to_string() }
}
