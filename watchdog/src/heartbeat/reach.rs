//! From a spot to a stream of bytes.

use std::{
    collections::{BTreeSet, VecDeque},
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    os::unix,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    sync::Semaphore,
    task::spawn_blocking,
    time::sleep,
};

use super::{Error, Fault, Spot, Way};
use crate::model::{OwnFault, Phase, Port};

/// How long a Unix socket with a full backlog is left alone before it is tried again: the kernel answers EAGAIN at once where TCP
/// would wait, and gives no event.
const BACKLOG_PAUSE: Duration = Duration::from_millis(10);

/// A connection of any kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Whom to ask when the unit's own listener is not known.
pub(super) fn loopback(port: Port) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port.0))
}

/// A path that the kernel would take.
pub(super) fn check_path(path: &Path) -> Result<(), Error> {
    if path.as_os_str().as_encoded_bytes().starts_with(b"\0") {
        return Ok(()); // abstract: any bytes
    }
    match unix::net::SocketAddr::from_pathname(path) {
        Ok(_) => Ok(()),
        Err(source) => Err(Error::Socket { path: path.to_owned(), source }),
    }
}

/// Connects; the last of several addresses decides what the failure was.
pub(super) async fn connect(
    spot: &Spot,
    host: &str,
    port: Port,
    way: &mut Way,
) -> Result<Box<dyn Stream>, Fault> {
    let addresses = match spot {
        Spot::Tcp(address) => candidates(*address),
        Spot::Unix(path) => return Ok(Box::new(connect_unix(path).await?)),
        Spot::Dns | Spot::Here => {
            way.phase = Phase::Resolve;
            resolve(host, port).await?
        }
    };
    way.phase = Phase::Connect;
    let mut last = Fault::Own(OwnFault::Name(format!("{host} has no address")));
    for address in addresses {
        way.asked = address.to_string();
        match connect_tcp(address).await {
            Ok(stream) => return Ok(Box::new(stream)),
            Err(fault) => last = fault.into(),
        }
    }
    Err(last)
}

/// A listener on all addresses is asked over loopback. `[::]` takes IPv4 as well unless told otherwise, and ::1 is missing where
/// IPv6 is switched off: then 127.0.0.1 is the way.
fn candidates(address: SocketAddr) -> Vec<SocketAddr> {
    let port = address.port();
    let ips: &[IpAddr] = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => &[IpAddr::V4(Ipv4Addr::LOCALHOST)],
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
            &[IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)]
        }
        IpAddr::V4(_) | IpAddr::V6(_) => return vec![address], // keeps the scope of fe80::…%eth0
    };
    ips.iter().map(|ip| SocketAddr::new(*ip, port)).collect()
}

async fn connect_tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    remember(stream.local_addr()?);
    // The kernel may draw the very port that nobody listens on, and connects the socket to itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(rustix::io::Errno::CONNREFUSED.into());
    }
    Ok(stream)
}

/// Our own ends of the last connections: whoever counts a service's clients leaves these out.
static OWN: Mutex<VecDeque<SocketAddr>> = Mutex::new(VecDeque::new());
/// As many as are asked within a few time-outs, on a host of hundreds of services.
const OWN_KEPT: usize = 1024;

fn remember(end: SocketAddr) {
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    if own.len() == OWN_KEPT {
        own.pop_front();
    }
    own.push_back(end);
}

/// Our own ends of the last connections.
pub fn own_ends() -> BTreeSet<SocketAddr> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
}

async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(fault) if fault.kind() == ErrorKind::WouldBlock => sleep(BACKLOG_PAUSE).await,
            end => return end,
        }
    }
}

/// How many look-ups may hang at once. The resolver blocks its thread and cannot be called off, so that without a limit a dead name
/// server would collect a thread for each ask.
static LOOKUPS: std::sync::LazyLock<Arc<Semaphore>> =
    std::sync::LazyLock::new(|| Arc::new(Semaphore::new(4)));

async fn resolve(host: &str, port: Port) -> Result<Vec<SocketAddr>, Fault> {
    let unresolved = |why: &dyn ToString| Fault::Own(OwnFault::Name(format!("{host}: {}", why.to_string())));
    let permit = LOOKUPS.clone().acquire_owned().await.map_err(|closed| unresolved(&closed))?;
    let name = host.trim_matches(['[', ']']).to_owned();
    let found = spawn_blocking(move || {
        let found = (name.as_str(), port.0).to_socket_addrs();
        drop(permit); // held by the thread, not by an ask that may be gone
        found
    });
    let addresses = found.await.map_err(|died| unresolved(&died))?.map_err(|why| unresolved(&why))?;
    Ok(addresses.collect())
}
