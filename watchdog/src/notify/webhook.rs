//! One POST, and what is said to it. Deliberately absent: redirects (a secret would follow them), proxies, cookies, keep-alive.

use std::{convert::Infallible, future::pending, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, Response, Uri,
    body::Incoming,
    client::conn::http1,
    header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    select,
};

use super::{Error, Webhook, text::Words, wire};

/// The largest head of an answer.
const HEAD: usize = 64 << 10;
const HEADERS: usize = 128;
/// So much of a refusal is read, and so much of it is told.
const BODY: usize = 4 << 10;
const SAID: usize = 200;

/// A webhook that can be called again and again.
#[derive(Debug)]
pub(super) struct Hook {
    host: String,
    port: u16,
    uri: Uri,
    headers: HeaderMap,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Hook {
    pub(super) fn new(settings: &Webhook) -> Result<Hook, Error> {
        let host = settings.host.clone();
        let bad = || Error::Path { host: host.clone() };
        let uri: Uri = settings.path.0.parse().map_err(|_| bad())?;
        if uri.authority().is_some() || !settings.path.0.starts_with('/') {
            return Err(bad());
        }
        let tls = match settings.secure {
            true => Some((wire::trust(settings.ca.as_deref())?, wire::name(&host)?)),
            false => None,
        };
        Ok(Hook { port: settings.port, uri, headers: headers(settings)?, tls, host })
    }

    pub(super) fn who(&self) -> &str {
        &self.host
    }

    /// Good is a 2xx, and nothing else.
    pub(super) async fn send(&self, words: &Words) -> Result<(), Error> {
        let stream = wire::connect(&self.host, self.port).await?;
        match &self.tls {
            Some((config, name)) => {
                let stream = wire::secure(stream, config.clone(), &self.host, name.clone()).await?;
                self.post(stream, words).await
            }
            None => self.post(stream, words).await,
        }
    }

    async fn post<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, words: &Words) -> Result<(), Error> {
        let broken = |source| Error::Http { host: self.host.clone(), source };
        let (mut sender, connection) = http1::Builder::new()
            .max_headers(HEADERS)
            .max_buf_size(HEAD)
            .title_case_headers(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let drive = async {
            connection.await.ok(); // its error reaches the answer too
            pending::<Infallible>().await
        };
        let mut request = Request::post(self.uri.clone());
        if let Some(all) = request.headers_mut() {
            all.clone_from(&self.headers);
        }
        let body = Full::new(Bytes::from(words.json.to_string()));
        let request = request.body(body).map_err(|_| Error::Path { host: self.host.clone() })?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            self.judge(response).await
        };
        select! {
            biased;
            end = answer => end,
            never = drive => match never {},
        }
    }

    async fn judge(&self, response: Response<Incoming>) -> Result<(), Error> {
        let (host, status) = (self.host.clone(), response.status());
        if status.is_success() {
            return Ok(()); // whatever it goes on to say
        }
        let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).map(origin);
        if let (true, Some(to)) = (status.is_redirection(), to) {
            return Err(Error::Redirect { host, status, to });
        }
        let (mut response, mut body) = (response, Vec::new());
        while body.len() < BODY
            && let Some(Ok(frame)) = response.frame().await
        {
            body.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        }
        let said = String::from_utf8_lossy(&body);
        let said = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID).collect::<String>();
        Err(Error::Status { host, status, said: said.trim().to_owned() })
    }
}

/// Scheme and host: what follows may be a secret.
fn origin(to: &str) -> String {
    match to.parse::<Uri>() {
        Ok(uri) => match (uri.scheme_str(), uri.authority()) {
            (Some(scheme), Some(authority)) => {
                let authority = authority.as_str();
                let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
                format!("{scheme}://{host}/…")
            }
            _ => "another path of it".into(),
        },
        Err(_) => "what is no URL".into(),
    }
}

fn headers(settings: &Webhook) -> Result<HeaderMap, Error> {
    let usual = if settings.secure { 443 } else { 80 };
    let host = &settings.host;
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.clone() };
    let host = if settings.port == usual { host } else { format!("{host}:{}", settings.port) };
    let mut headers = HeaderMap::new();
    headers.insert(HOST, host.parse().map_err(|_| Error::Header { name: "Host".into() })?);
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("watchdog/", env!("CARGO_PKG_VERSION"))));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in &settings.headers {
        let bad = || Error::Header { name: name.clone() };
        let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let mut value = HeaderValue::from_str(&value.0).map_err(|_| bad())?;
        value.set_sensitive(true);
        headers.insert(known, value);
    }
    Ok(headers)
}
