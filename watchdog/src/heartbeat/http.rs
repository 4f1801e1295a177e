//! One HTTP/1.1 request, and what its answer says.

use std::{
    convert::Infallible,
    future::pending,
    io::{self, ErrorKind},
    ops::RangeInclusive,
    pin::Pin,
    task::{Context, Poll, ready},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{
    HeaderMap, Method, Request, Response, Uri,
    body::Incoming,
    client::conn::http1,
    header::{
        ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderName, HeaderValue,
        TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
    },
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    select,
};

use super::{Body, Error, Fault, Settings, Way, judge, reach::Stream};
use crate::model::{End, Phase, Warning};

/// More of a body is not read: what is looked for must be in what was.
pub(super) const BODY: usize = 64 << 10;
/// More than this is no head of an answer.
const HEAD: usize = 64 << 10;
/// More bytes than this are never read: head, body, and what wraps its chunks. Also ends an endless row of `100 Continue`.
const WIRE: usize = 256 << 10;
const HEADERS: usize = 128;

/// A request, ready to be sent, and what its answer must be like.
#[derive(Debug)]
pub(super) struct Question {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    status: Vec<RangeInclusive<u16>>,
    body: Option<Body>,
}

impl Question {
    pub(super) fn new(
        settings: &Settings,
        secure: bool,
        host: &str,
        port: u16,
        path: &str,
    ) -> Result<Question, Error> {
        let method = Method::from_bytes(settings.method.as_bytes()).ok().filter(|m| *m != Method::CONNECT);
        let method = method.ok_or_else(|| Error::Method { method: settings.method.clone() })?;
        if method == Method::HEAD && settings.body.is_some() {
            return Err(Error::BodyOfHead);
        }
        let bad_path = || Error::Path { path: path.to_owned() };
        let uri: Uri = path.parse().map_err(|_| bad_path())?;
        if uri.authority().is_some() || !path.starts_with('/') {
            return Err(bad_path());
        }
        Ok(Question {
            method,
            uri,
            headers: headers(settings, secure, host, port)?,
            status: settings.status.clone(),
            body: settings.body.clone(),
        })
    }

    /// Sends it and reads the answer.
    pub(super) async fn put(&self, stream: Box<dyn Stream>, way: &mut Way) -> Result<End, Fault> {
        let stream = TokioIo::new(Capped { stream, left: WIRE });
        // Lenient where browsers are: a site that they show is not restarted for the form of its headers.
        let (mut sender, connection) = http1::Builder::new()
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .ignore_invalid_headers_in_responses(true)
            .title_case_headers(true)
            .max_headers(HEADERS)
            .max_buf_size(HEAD)
            .handshake(stream)
            .await?;
        let drive = async {
            connection.await.ok(); // its error reaches the answer too
            pending::<Infallible>().await
        };
        let answer = async {
            let response = sender.send_request(self.request(way)).await?;
            way.phase = Phase::Body;
            self.read(response, way).await
        };
        select! {
            biased;
            end = answer => end,
            never = drive => match never {},
        }
    }

    fn request(&self, way: &Way) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        if way.stranger {
            request.headers_mut().remove(AUTHORIZATION);
            request.headers_mut().remove(COOKIE);
        }
        request
    }

    async fn read(&self, mut response: Response<Incoming>, way: &mut Way) -> Result<End, Fault> {
        let status = response.status().as_u16();
        if !self.counts(status) {
            way.phase = Phase::Headers; // its body is of no interest
            return Ok(End::Status(status));
        }
        let mut body = Vec::new();
        // The cap is looked at before the next frame is awaited: a long page that then stalls has said enough.
        while body.len() < BODY {
            let Some(frame) = response.frame().await else { break };
            match frame {
                Ok(frame) => body.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Err(fault) if judge::is_too_long(&fault) => break,
                Err(fault) => return Err(fault.into()),
            }
            body.truncate(BODY);
            way.body_bytes = body.len() as u64;
        }
        match (status, &self.body) {
            (200..400, Some(wanted)) if !holds(&body, wanted) => {
                Ok(End::WrongBody { status, wanted: wanted.to_string(), got: printable(&body) })
            }
            (400..500, _) => {
                way.warnings.push(Warning::ClientError(status));
                Ok(End::Good { status: Some(status) })
            }
            (_, _) => Ok(End::Good { status: Some(status) }),
        }
    }

    /// `200-599` does not make an answer of a 500: from there on a status must be meant.
    fn counts(&self, status: u16) -> bool {
        self.status.iter().any(|range| range.contains(&status) && (status < 500 || *range.start() >= 500))
    }
}

fn headers(settings: &Settings, secure: bool, host: &str, port: u16) -> Result<HeaderMap, Error> {
    let bad = |name: &str| Error::Header { name: name.to_owned() };
    let usual = if secure { 443 } else { 80 };
    let host =
        if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let host = if port == usual { host } else { format!("{host}:{port}") };
    let mut headers = HeaderMap::new();
    headers.insert(HOST, host.parse().map_err(|_| bad("Host"))?);
    headers.insert(USER_AGENT, HeaderValue::from_static(Settings::AGENT));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Some(basic) = &settings.basic_auth {
        let mut value: HeaderValue = match basic.0.trim_end_matches(['\r', '\n']) {
            pair if !pair.contains(':') || pair.contains('\n') => return Err(Error::BasicAuth),
            pair => format!("Basic {}", STANDARD.encode(pair)).parse().map_err(|_| Error::BasicAuth)?,
        };
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let mut given = HeaderMap::new();
    for (name, value) in &settings.headers {
        let key: HeaderName = name.parse().map_err(|_| bad(name))?;
        if [CONTENT_LENGTH, TRANSFER_ENCODING, TRAILER, EXPECT, UPGRADE].contains(&key) {
            return Err(bad(name));
        }
        given.append(key, value.parse().map_err(|_| bad(name))?);
    }
    headers.extend(given); // replaces ours, and keeps several of one name
    Ok(headers)
}

fn holds(body: &[u8], wanted: &Body) -> bool {
    match wanted {
        Body::Literal(text) => {
            text.is_empty() || body.windows(text.len()).any(|part| part == text.as_bytes())
        }
        Body::Pattern(pattern) => pattern.is_match(body),
    }
}

/// The first bytes, for a person to recognise the page.
fn printable(body: &[u8]) -> String {
    let start = String::from_utf8_lossy(&body[..body.len().min(320)]);
    start.chars().map(|c| if c.is_control() { ' ' } else { c }).take(80).collect::<String>().trim().to_owned()
}

/// Reads at most so many bytes. And an end without close_notify is an end: HTTP itself knows whether something is missing.
struct Capped {
    stream: Box<dyn Stream>,
    left: usize,
}

/// [`WIRE`] is used up.
#[derive(Debug, thiserror::Error)]
#[error("an answer without end")]
pub(super) struct TooLong;

impl AsyncRead for Capped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other(TooLong)));
        }
        let before = buffer.filled().len();
        let end = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        self.left = self.left.saturating_sub(buffer.filled().len() - before);
        match end {
            Err(fault) if fault.kind() == ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            end => Poll::Ready(end),
        }
    }
}

impl AsyncWrite for Capped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
