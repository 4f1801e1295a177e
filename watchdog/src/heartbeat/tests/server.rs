//! Servers that do what servers should not, on loopback, each for one connection.

use std::{
    hint::spin_loop,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};
use rustix::net::{AddressFamily, SocketType, socket};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::JoinHandle,
    time::interval,
};
use tokio_rustls::TlsAcceptor;

use super::super::{Spot, reach::Stream};
use crate::clock::now;

/// What a server does, step by step; then it closes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Reads a whole request.
    Read,
    /// Reads what comes first.
    Hear,
    /// Says this.
    Say(&'static str),
    /// Says these bytes.
    Bytes(&'static [u8]),
    /// Says this so often.
    Repeat(usize, &'static str),
    /// Says this for ever, as fast as it is taken.
    Flood(&'static str),
    /// Says this for ever, byte after byte, slowly.
    Drip(&'static str),
    /// Is silent until the other side closes.
    Hang,
    /// Ends TLS properly.
    CloseNotify,
    /// Closes with a reset (wherever it stands in the script).
    Reset,
    /// Holds the one thread that the heartbeat runs on as well.
    HoldTheLoop(Duration),
}

/// Whom a heartbeat meets.
#[derive(Clone, Debug)]
pub(super) enum Server {
    Tcp(Vec<Step>),
    /// Listens on 127.0.0.1 only, though it is to be asked on `[::]`.
    Everywhere(Vec<Step>),
    Unix(Vec<Step>),
    Tls(Identity, Vec<Step>),
    /// Nobody listens there.
    Nobody,
    /// A listener whose accept queue is full.
    FullTcp,
    /// The same on a Unix socket, and whether it is emptied after a while.
    FullUnix {
        drained: bool,
    },
    /// No server: ask there.
    At(Spot),
}

/// The certificate of a server.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) names: &'static [&'static str],
    pub(super) last_year: i32,
    pub(super) issuer: By,
}

/// Who signed it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum By {
    /// The issuer in `ca`.
    Known,
    /// An issuer that nobody knows.
    Stranger,
    /// Itself.
    Itself,
    /// Itself, and it is the one in `ca`.
    ItselfNamed,
}

/// A server that runs.
pub(super) struct Running {
    pub(super) spot: Spot,
    /// `tls.ca` for it.
    pub(super) ca: Option<PathBuf>,
    /// Ends when the connection is closed, with what was read.
    pub(super) task: Option<JoinHandle<Result<String>>>,
    /// What must stay open meanwhile.
    _open: Vec<OwnedFd>,
}

impl Running {
    fn new(spot: Spot, task: Option<JoinHandle<Result<String>>>) -> Running {
        Running { spot, ca: None, task, _open: Vec::new() }
    }
}

/// Starts a server; `folder` is for sockets and certificates, `number` keeps them apart.
pub(super) async fn start(server: Server, folder: &Path, number: usize) -> Result<Running> {
    let path = folder.join(format!("{number}.sock"));
    match server {
        Server::Tcp(steps) => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let spot = Spot::Tcp(listener.local_addr()?);
            let task = tokio::spawn(async move { play(accept(&listener, &steps).await?, &steps).await });
            Ok(Running::new(spot, Some(task)))
        }
        Server::Everywhere(steps) => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let spot = Spot::Tcp((Ipv6Addr::UNSPECIFIED, listener.local_addr()?.port()).into());
            let task = tokio::spawn(async move { play(accept(&listener, &steps).await?, &steps).await });
            Ok(Running::new(spot, Some(task)))
        }
        Server::Tls(identity, steps) => {
            let ca = folder.join(format!("{number}.pem"));
            let acceptor = TlsAcceptor::from(Arc::new(identity.server(&ca)?));
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let spot = Spot::Tcp(listener.local_addr()?);
            let task = tokio::spawn(async move {
                let stream = acceptor.accept(accept(&listener, &steps).await?).await?;
                play(stream, &steps).await
            });
            Ok(Running { ca: Some(ca), ..Running::new(spot, Some(task)) })
        }
        Server::Unix(steps) => {
            let listener = UnixListener::bind(&path)?;
            let task = tokio::spawn(async move { play(listener.accept().await?.0, &steps).await });
            Ok(Running::new(Spot::Unix(path), Some(task)))
        }
        Server::Nobody => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            Ok(Running::new(Spot::Tcp(listener.local_addr()?), None))
        }
        Server::FullTcp => {
            let listener = socket(AddressFamily::INET, SocketType::STREAM, None)?;
            rustix::net::bind(&listener, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
            rustix::net::listen(&listener, 0)?;
            let address = SocketAddr::try_from(rustix::net::getsockname(&listener)?)?;
            let first = TcpStream::connect(address).await?.into_std()?;
            let open = vec![listener, first.into()];
            Ok(Running { _open: open, ..Running::new(Spot::Tcp(address), None) })
        }
        Server::FullUnix { drained } => {
            let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
            rustix::net::bind(&listener, &rustix::net::SocketAddrUnix::new(&path)?)?;
            rustix::net::listen(&listener, 0)?;
            let first = UnixStream::connect(&path).await?;
            let second = UnixStream::connect(&path).await.err().context("the backlog is not full")?;
            anyhow::ensure!(second.kind() == std::io::ErrorKind::WouldBlock, "{second}");
            let listener = std::os::unix::net::UnixListener::from(listener);
            listener.set_nonblocking(true)?;
            if !drained {
                return Ok(Running {
                    _open: vec![listener.into(), first.into_std()?.into()],
                    ..Running::new(Spot::Unix(path), None)
                });
            }
            let task = tokio::spawn(async move {
                let mut ticks = interval(Duration::from_millis(50));
                ticks.tick().await;
                ticks.tick().await; // the heartbeat has met a full queue by now, or meets an empty one: alive both ways
                let listener = UnixListener::from_std(listener)?;
                let kept = listener.accept().await?;
                let end = play(listener.accept().await?.0, &good("hello")).await;
                drop((kept, first));
                end
            });
            Ok(Running::new(Spot::Unix(path), Some(task)))
        }
        Server::At(spot) => Ok(Running::new(spot, None)),
    }
}

/// Reads, and answers 200 with this body.
pub(super) fn good(body: &'static str) -> Vec<Step> {
    vec![Step::Read, Step::Say("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), Step::Say(body)]
}

/// Reads, and answers this.
pub(super) fn says(answer: &'static str) -> Vec<Step> {
    vec![Step::Read, Step::Say(answer)]
}

async fn accept(listener: &TcpListener, steps: &[Step]) -> Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    if steps.contains(&Step::Reset) {
        stream.set_zero_linger()?;
    }
    Ok(stream)
}

async fn play(mut stream: impl Stream, steps: &[Step]) -> Result<String> {
    let mut heard = Vec::new();
    for step in steps {
        match step {
            Step::Read => {
                while !heard.ends_with(b"\r\n\r\n") {
                    anyhow::ensure!(stream.read_buf(&mut heard).await? > 0, "no whole request");
                }
            }
            Step::Hear => {
                stream.read_buf(&mut heard).await?;
            }
            Step::Say(text) => stream.write_all(text.as_bytes()).await?,
            Step::Bytes(bytes) => stream.write_all(bytes).await?,
            Step::Repeat(times, text) => stream.write_all(text.repeat(*times).as_bytes()).await?,
            Step::Flood(text) => {
                let text = text.repeat(4096 / text.len());
                while stream.write_all(text.as_bytes()).await.is_ok() {}
            }
            Step::Drip(text) => {
                let mut ticks = interval(Duration::from_millis(20));
                for byte in text.bytes().cycle() {
                    ticks.tick().await;
                    if stream.write_all(&[byte]).await.is_err() {
                        break;
                    }
                }
            }
            Step::Hang => {
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.ok();
            }
            Step::CloseNotify => stream.shutdown().await?,
            Step::Reset => {}
            Step::HoldTheLoop(time) => {
                let until = now() + *time;
                while now() < until {
                    spin_loop();
                }
            }
        }
        stream.flush().await.ok(); // rustls keeps back what it could not write at once
    }
    Ok(String::from_utf8_lossy(&heard).into_owned())
}

impl Identity {
    /// Its TLS configuration; the certificate to trust is written to `ca`.
    fn server(&self, ca: &Path) -> Result<ServerConfig> {
        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(self.names.iter().map(|n| n.to_string()).collect::<Vec<_>>())?;
        leaf.not_after = date_time_ymd(self.last_year, 1, 1);
        let known = issuer("Known")?;
        let (certificate, trusted) = match self.issuer {
            By::Known => (leaf.signed_by(&key, &known.1)?, known.0),
            By::Stranger => (leaf.signed_by(&key, &issuer("Stranger")?.1)?, known.0),
            By::Itself => (leaf.self_signed(&key)?, known.0),
            By::ItselfNamed => {
                leaf.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained); // as `openssl req -x509` makes them
                let certificate = leaf.self_signed(&key)?;
                let pem = certificate.pem();
                (certificate, pem)
            }
        };
        std::fs::write(ca, trusted)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?)
    }
}

fn issuer(name: &str) -> Result<(String, Issuer<'static, KeyPair>)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key)?.pem();
    Ok((pem, Issuer::new(params, key)))
}
