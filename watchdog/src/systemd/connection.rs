use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::{net::UnixStream, time::timeout};
use zbus::{DynamicType, Message, MessageStream, Type, connection::Builder};

use super::{Error, socket::PrivateSocket};

pub(super) const SYSTEMD: &str = "org.freedesktop.systemd1";
pub(super) const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
pub(super) const MANAGER: &str = "org.freedesktop.systemd1.Manager";
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

/// How long one call may take. PID 1 answers in microseconds; while it reads all units again (daemon-reload), in seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long opening may take.
const GREETING: Duration = Duration::from_secs(2);
/// Messages that zbus holds for us. A full queue makes it stop reading, replies to calls included.
const QUEUE: NonZeroUsize = NonZeroUsize::new(1024).expect("not 0");

/// By which way PID 1 is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `/run/systemd/private`: works with the bus daemon dead, and is five times as quick.
    Private,
    /// The system bus.
    Bus,
}

impl Way {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Way::Private => "private socket",
            Way::Bus => "bus",
        }
    }
}

/// Where the sockets are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sockets {
    /// systemd's own.
    pub private: PathBuf,
    /// The system bus.
    pub bus: PathBuf,
}

impl Default for Sockets {
    fn default() -> Sockets {
        Sockets { private: "/run/systemd/private".into(), bus: "/run/dbus/system_bus_socket".into() }
    }
}

/// A connection to PID 1. Cheap to clone; calls run side by side.
#[derive(Clone, Debug)]
pub struct Connection {
    pub(super) bus: zbus::Connection,
    way: Way,
    /// systemd's unique name: on the bus, anyone may send us a signal that looks like one of systemd's.
    owner: Option<String>,
}

/// A new connection, and everything that comes over it.
#[derive(Debug)]
pub struct Opened {
    /// For calls.
    pub connection: Connection,
    /// Every message, in order: signals and replies, also those to calls of others on this connection. Always read it: once
    /// its queue is full, nobody's reply is read any more.
    pub messages: MessageStream,
}

/// Opens a connection and asks for signals: over the private socket, else, if `ways` has it, over the bus.
///
/// # Errors
/// [`Error::Unreachable`] with the reason of each way.
pub async fn open(sockets: &Sockets, ways: &[Way]) -> Result<Opened, Error> {
    let mut why = Vec::new();
    for way in ways {
        let path = match way {
            Way::Private => &sockets.private,
            Way::Bus => &sockets.bus,
        };
        let opening = async {
            match way {
                Way::Private => private(path).await,
                Way::Bus => system_bus(path).await,
            }
        };
        match timeout(GREETING, opening).await {
            Ok(Ok(opened)) => return Ok(opened),
            Ok(Err(error)) => why.push(error),
            Err(_) => why.push(Error::Silent { path: path.clone(), after: GREETING }),
        }
    }
    let last = why.pop().unwrap_or_else(|| Error::NotConnected { about: "anything".into() });
    Err(match why.pop() {
        Some(first) => Error::Unreachable { private: Box::new(first), bus: Box::new(last) },
        None => last,
    })
}

async fn private(path: &Path) -> Result<Opened, Error> {
    let stream = connect(path).await?;
    let builder = Builder::socket(PrivateSocket(stream)).p2p();
    Opened::new(path, Way::Private, builder, None).await?.subscribed().await
}

async fn system_bus(path: &Path) -> Result<Opened, Error> {
    let stream = connect(path).await?;
    let stream = stream.into_std().map_err(|source| Error::Connect { path: path.into(), source })?;
    let mut opened = Opened::new(path, Way::Bus, Builder::unix_stream(stream), None).await?;
    for rule in [
        format!("type='signal',sender='{SYSTEMD}',path_namespace='{MANAGER_PATH}'"),
        format!("type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{SYSTEMD}'"),
    ] {
        opened.connection.call(BUS, BUS_PATH, BUS, "AddMatch", &rule, "a match rule").await?;
    }
    let owner = opened.connection.call(BUS, BUS_PATH, BUS, "GetNameOwner", &SYSTEMD, "its name").await?;
    opened.connection.owner = Some(read::<String>(&owner, "its name")?);
    opened.subscribed().await
}

async fn connect(path: &Path) -> Result<UnixStream, Error> {
    UnixStream::connect(path).await.map_err(|source| Error::Connect { path: path.into(), source })
}

impl Opened {
    /// Reads to the end without listening: for one who only gives orders.
    pub async fn drain(mut self) {
        while let Some(Ok(_)) = self.messages.next().await {}
    }

    async fn new(
        path: &Path,
        way: Way,
        builder: Builder<'_>,
        owner: Option<String>,
    ) -> Result<Opened, Error> {
        let built = builder.method_timeout(PATIENCE).max_queued(QUEUE).build().await;
        let bus = built.map_err(|source| Error::Greet { path: path.into(), source: Box::new(source) })?;
        let messages = MessageStream::from(&bus);
        Ok(Opened { connection: Connection { bus, way, owner }, messages })
    }

    async fn subscribed(self) -> Result<Opened, Error> {
        self.connection.manager("Subscribe", &(), "signals").await?;
        Ok(self)
    }
}

impl Connection {
    /// By which way it leads to PID 1.
    pub fn way(&self) -> Way {
        self.way
    }

    /// Whether systemd itself sent this message.
    pub(super) fn is_from_systemd(&self, message: &Message) -> bool {
        let Some(owner) = &self.owner else { return true };
        message.header().sender().is_some_and(|sender| sender.as_str() == owner)
    }

    /// Whether the bus says that systemd left it or came back: signals may be missing.
    pub(super) fn tells_of_a_new_owner(&self, message: &Message) -> bool {
        let header = message.header();
        self.owner.is_some()
            && header.sender().is_some_and(|sender| sender.as_str() == BUS)
            && header.member().is_some_and(|member| member.as_str() == "NameOwnerChanged")
    }

    pub(super) async fn manager<B>(&self, member: &str, body: &B, about: &str) -> Result<Message, Error>
    where
        B: serde::Serialize + DynamicType,
    {
        self.call(SYSTEMD, MANAGER_PATH, MANAGER, member, body, about).await
    }

    pub(super) async fn object<B>(
        &self,
        path: &str,
        interface: &str,
        member: &str,
        body: &B,
        about: &str,
    ) -> Result<Message, Error>
    where
        B: serde::Serialize + DynamicType,
    {
        self.call(SYSTEMD, path, interface, member, body, about).await
    }

    async fn call<B>(
        &self,
        to: &str,
        path: &str,
        interface: &str,
        member: &str,
        body: &B,
        about: &str,
    ) -> Result<Message, Error>
    where
        B: serde::Serialize + DynamicType,
    {
        let to = (self.way == Way::Bus).then_some(to);
        let reply = self.bus.call_method(to, path, Some(interface), member, body).await;
        reply.map_err(|source| Error::of_call(about, source, PATIENCE))
    }

    pub(super) async fn send_to_manager(
        &self,
        member: &str,
        body: &(impl serde::Serialize + DynamicType),
        about: &str,
    ) -> Result<u32, Error> {
        self.send(MANAGER_PATH, MANAGER, member, body, about).await
    }

    /// A call whose reply is met among [`Opened::messages`], by the serial returned here.
    pub(super) async fn send(
        &self,
        path: &str,
        interface: &str,
        member: &str,
        body: &(impl serde::Serialize + DynamicType),
        about: &str,
    ) -> Result<u32, Error> {
        let build = || {
            let builder = Message::method_call(path, member).interface(interface);
            match self.way {
                Way::Private => builder.build(body),
                Way::Bus => builder.destination(SYSTEMD).build(body),
            }
        };
        let broken =
            |source: zbus::Error| Error::Broken { about: about.to_owned(), source: Box::new(source) };
        let message = build().map_err(broken)?;
        self.bus.send(&message).await.map_err(broken)?;
        Ok(message.primary_header().serial_num().get())
    }
}

/// The body of a reply.
pub(super) fn read<T: DeserializeOwned + Type>(reply: &Message, about: &str) -> Result<T, Error> {
    let body = reply.body();
    body.deserialize()
        .map_err(|source| Error::Malformed { about: about.to_owned(), source: Box::new(source) })
}
