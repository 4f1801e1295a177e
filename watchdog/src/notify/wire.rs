//! Connections to others' servers: names, TLS that is verified, and an end to what they may send.

use std::{
    io,
    net::SocketAddr,
    net::ToSocketAddrs,
    path::Path,
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll, ready},
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Semaphore,
    task::spawn_blocking,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::Error;

/// More is never read of one connection, whatever comes.
const MOST: usize = 256 << 10;

/// How many look-ups may hang at once: the resolver blocks its thread and cannot be called off.
static LOOKUPS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(2)));

/// Trusts the issuers of this file, else the system's.
pub(super) fn trust(ca: Option<&Path>) -> Result<Arc<ClientConfig>, Error> {
    let certificates = match ca {
        Some(path) => named(path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    let (known, _) = roots.add_parsable_certificates(certificates);
    if let (0, Some(path)) = (known, ca) {
        return Err(Error::NoIssuers { path: path.to_owned() });
    }
    Ok(Arc::new(
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth(),
    ))
}

/// The certificates of a PEM file.
pub(super) fn named(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unread = |source| Error::Issuers { path: path.to_owned(), source };
    let named = CertificateDer::pem_file_iter(path).map_err(unread)?;
    let named: Vec<_> = named.collect::<Result<_, _>>().map_err(unread)?;
    if named.is_empty() {
        return Err(Error::NoIssuers { path: path.to_owned() });
    }
    Ok(named)
}

/// How a host is called in TLS.
pub(super) fn name(host: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(|_| Error::Host { host: host.to_owned() })
}

/// Connects to the first address that takes it.
pub(super) async fn connect(host: &str, port: u16) -> Result<Capped<TcpStream>, Error> {
    let addresses = resolve(host, port).await?;
    let none = || io::Error::new(io::ErrorKind::NotFound, "it has no address");
    let mut last = Error::Resolve { host: host.to_owned(), source: none() };
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(Capped { stream, left: MOST }),
            Err(source) => last = Error::Connect { host: host.to_owned(), address, source },
        }
    }
    Err(last)
}

/// Shakes hands; whoever cannot prove who they are is not told anything.
pub(super) async fn secure<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: Arc<ClientConfig>,
    host: &str,
    name: ServerName<'static>,
) -> Result<TlsStream<S>, Error> {
    let shaken = TlsConnector::from(config).connect(name, stream).await;
    shaken.map_err(|source| Error::Handshake { host: host.to_owned(), source })
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let failed = |source| Error::Resolve { host: host.to_owned(), source };
    let permit = LOOKUPS.clone().acquire_owned().await.map_err(|closed| failed(io::Error::other(closed)))?;
    let name = host.trim_matches(['[', ']']).to_owned();
    let found = spawn_blocking(move || {
        let found = (name.as_str(), port).to_socket_addrs();
        drop(permit); // held by the thread, not by a message that may be given up
        found
    });
    Ok(found.await?.map_err(failed)?.collect())
}

/// A stream of which so many bytes are read and no more.
#[derive(Debug)]
pub(super) struct Capped<S> {
    pub(super) stream: S,
    left: usize,
}

impl<S: AsyncRead + Unpin> AsyncRead for Capped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other(format!("it sent more than {MOST} bytes"))));
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        self.left = self.left.saturating_sub(into.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Capped<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
