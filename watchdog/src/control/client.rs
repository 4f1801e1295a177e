//! Asks a running watchdog, for the commands.

use std::{io::ErrorKind, path::Path, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, time::timeout};

use super::{Error, Fault};

/// An engine that decides answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longer than the other end takes to read a configuration.
const LONG: Duration = Duration::from_secs(60);
/// More than a thousand services have to say.
const BYTES: usize = 64 * 1024 * 1024;

/// What a running watchdog answers there.
///
/// # Errors
/// It is not there, does not answer, or answers no.
pub async fn get(socket: &Path, path: &str) -> Result<Bytes, Error> {
    let asked = timeout(PATIENCE, ask(socket, Method::GET, path, String::new())).await;
    asked.unwrap_or_else(|_| Err(no_answer(socket, format!("nothing came within {PATIENCE:?}"))))
}

/// What it answers to this. A change that was done only in part is an answer too.
///
/// # Errors
/// It is not there, does not answer, or answers no.
pub async fn post(socket: &Path, path: &str, body: String) -> Result<Bytes, Error> {
    let asked = timeout(LONG, ask(socket, Method::POST, path, body)).await;
    asked.unwrap_or_else(|_| Err(no_answer(socket, format!("nothing came within {LONG:?}"))))
}

async fn ask(socket: &Path, method: Method, path: &str, body: String) -> Result<Bytes, Error> {
    let connection = connect(socket).await?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(connection)).await.map_err(|fault| no_answer(socket, fault))?;
    let reads = method == Method::GET;
    let request = Request::builder().method(method).uri(path).header(HOST, "watchdog");
    let request = request.body(Full::new(Bytes::from(body))).map_err(|fault| no_answer(socket, fault))?;
    let driving = tokio::spawn(connection);
    let answered = async {
        let response = sender.send_request(request).await.map_err(|fault| no_answer(socket, fault))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BYTES).collect().await;
        let body = body.map_err(|fault| no_answer(socket, fault))?.to_bytes();
        match status {
            StatusCode::OK => return Ok(body),
            StatusCode::FORBIDDEN if reads => return Err(Error::NotAllowed { path: socket.to_owned() }),
            _ => {}
        }
        match serde_json::from_slice::<Fault>(&body) {
            Ok(fault) => Err(Error::Refused { status: status.as_u16(), fault }),
            Err(_) if status == StatusCode::CONFLICT => Ok(body),
            Err(_) => Err(no_answer(socket, format!("{status}: {}", String::from_utf8_lossy(&body).trim()))),
        }
    };
    let answered = answered.await;
    driving.abort();
    answered
}

/// Connects, or says why not.
pub(super) async fn connect(socket: &Path) -> Result<UnixStream, Error> {
    let path = || socket.to_owned();
    UnixStream::connect(socket).await.map_err(|fault| {
        let kind = fault.kind();
        if matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused) {
            return Error::NotRunning { path: path() };
        }
        if kind == ErrorKind::PermissionDenied {
            return Error::NotAllowed { path: path() };
        }
        no_answer(socket, fault)
    })
}

pub(super) fn no_answer(socket: &Path, why: impl ToString) -> Error {
    Error::NoAnswer { path: socket.to_owned(), why: why.to_string() }
}
