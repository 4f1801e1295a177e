//! What is asked and where: the URL of a heartbeat, and its `connect`.

use std::net::{IpAddr, SocketAddr};

use hyper::Uri;

use super::values::{Complaint, socket};
use crate::{heartbeat::Target, model::Connect};

/// The URL of a heartbeat: `http://`, `https://` or `tcp://`.
pub(super) fn url(text: &str) -> Result<Target, Complaint> {
    const SUCH_AS: &str =
        "expected a URL such as \"http://www.example.com/\", \"https://…\" or \"tcp://host:port\"";
    if !text.contains("://") {
        return Err(
            Complaint::new(SUCH_AS, "begin with http://, https:// or tcp://").matching("^[A-Za-z]+://")
        );
    }
    if text.contains('#') {
        return Err(Complaint::new(
            "expected a URL without `#`",
            "what follows `#` is never sent to a server: take it away",
        ));
    }
    let uri: Uri = text.parse().map_err(|error: hyper::http::uri::InvalidUri| {
        Complaint::new(SUCH_AS, format!("{error}; spaces and letters outside ASCII are written %20, xn--…"))
    })?;
    let authority = uri.authority().ok_or_else(|| Complaint::new(SUCH_AS, "name a host"))?;
    if authority.as_str().contains('@') {
        return Err(Complaint::new(
            "expected a URL without user and password",
            "put user:password on one line of a file of mode 0600, and name that file in `basic_auth_file`",
        ));
    }
    let host = host(authority.host())?;
    // An empty port (`host:`) means the scheme's own; one that does not parse would be taken for it in silence.
    let given = authority.as_str().strip_prefix(authority.host()).and_then(|rest| rest.strip_prefix(':'));
    let port = match given.filter(|port| !port.is_empty()).map(str::parse::<u16>) {
        None => None,
        Some(Ok(port)) if port != 0 => Some(port),
        Some(_) => return Err(Complaint::new("expected a port from 1 to 65535", "")),
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    match (uri.scheme_str(), port) {
        (Some("http"), port) => Ok(Target::Http { secure: false, host, port: port.unwrap_or(80), path }),
        (Some("https"), port) => Ok(Target::Http { secure: true, host, port: port.unwrap_or(443), path }),
        (Some("tcp"), Some(port)) if path == "/" => Ok(Target::Tcp { host, port }),
        (Some("tcp"), None) => Err(Complaint::new("expected \"tcp://host:port\"", "name the port")),
        (Some("tcp"), Some(_)) => {
            Err(Complaint::new("expected \"tcp://host:port\"", "to connect is all it does: no path"))
        }
        _ => Err(Complaint::new(SUCH_AS, "only http, https and tcp are spoken; anything else is an `exec`")),
    }
}

/// A host name, or an address; IPv6 loses its brackets.
fn host(text: &str) -> Result<String, Complaint> {
    if let Some(inside) = text.strip_prefix('[') {
        let address = inside.strip_suffix(']').and_then(|address| address.parse::<std::net::Ipv6Addr>().ok());
        let complaint =
            || Complaint::new("expected an IPv6 address in brackets, such as \"http://[::1]/\"", "");
        return address.map(|address| address.to_string()).ok_or_else(complaint);
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    match name.len() <= 253 && name.split('.').all(label) {
        true => Ok(text.to_owned()),
        false => Err(Complaint::new("expected a host name or an address in this URL", "")),
    }
}

/// Where a heartbeat connects to.
pub(super) fn connect(text: &str) -> Result<Connect, Complaint> {
    const SUCH_AS: &str = "expected \"ADDRESS:PORT\", \"[ADDRESS]:PORT\", \"unix:/path\" or \"dns\"";
    if text == "dns" {
        return Ok(Connect::Dns);
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return socket(path).map(Connect::Unix);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return match address.port() {
            0 => Err(Complaint::new("expected a port from 1 to 65535", "")),
            _ => Ok(Connect::Address(address)),
        };
    }
    let help = match (text.parse::<IpAddr>(), text.rsplit_once(':')) {
        (Ok(IpAddr::V4(address)), _) => format!("name the port: \"{address}:80\""),
        (Ok(IpAddr::V6(address)), _) => {
            format!("an IPv6 address stands in brackets, then the port: \"[{address}]:80\"")
        }
        (Err(_), Some((name, port))) if port.parse::<u16>().is_ok() && host(name).is_ok() => format!(
            "write the address of {name}, such as \"127.0.0.1:{port}\": a heartbeat asks no name server, so that a slow one is \
             never taken for a dead service (\"dns\" asks for the name of the URL all the same)"
        ),
        (Err(_), _) if text.starts_with('/') => format!("\"unix:{text}\" is a Unix socket"),
        (Err(_), _) => String::new(),
    };
    Err(Complaint::new(SUCH_AS, help).matching("^(dns$|unix:/|.*:[0-9]+$)"))
}
