//! One mail: over SMTP by a library, or by a program of the host that takes it.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use lettre::{
    Address, Message,
    message::{
        Mailbox,
        header::{ContentType, Header, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, AsyncTokioStream, Certificate, CertificateStore, TlsParameters},
        extension::ClientId,
    },
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{Carrier, Error, Mail, MailTls, exec::Runs, text::Words, wire};
use crate::systemd::Link;

/// A mail that can be sent again and again.
#[derive(Debug)]
pub(super) struct Post {
    from: Mailbox,
    to: Vec<Mailbox>,
    by: By,
}

#[derive(Debug)]
enum By {
    Program(Runs),
    Server { server: String, port: u16, tls: Secured, login: Option<Credentials> },
}

/// How the connection is kept secret.
enum Secured {
    Tls(Arc<ClientConfig>, ServerName<'static>),
    Starttls(Box<TlsParameters>),
    No,
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Secured::Tls(..) => "Tls",
            Secured::Starttls(_) => "Starttls",
            Secured::No => "No",
        })
    }
}

impl Post {
    pub(super) fn new(settings: &Mail) -> Result<Post, Error> {
        let by = match &settings.by {
            Carrier::Sendmail { argv } => By::Program(Runs { argv: argv.clone(), user: None }),
            Carrier::Smtp { server, port, tls, ca, login } => By::Server {
                server: server.clone(),
                port: *port,
                tls: match tls {
                    MailTls::Tls => Secured::Tls(wire::trust(ca.as_deref())?, wire::name(server)?),
                    MailTls::Starttls => Secured::Starttls(Box::new(parameters(server, ca.as_deref())?)),
                    MailTls::None => Secured::No,
                },
                login: login
                    .as_ref()
                    .map(|(user, password)| Credentials::new(user.clone(), password.0.clone())),
            },
        };
        let to = settings.to.iter().map(|to| mailbox(to)).collect::<Result<_, _>>()?;
        Ok(Post { from: mailbox(&settings.from)?, to, by })
    }

    pub(super) fn who(&self) -> &str {
        match &self.by {
            By::Program(runs) => runs.who(),
            By::Server { server, .. } => server,
        }
    }

    pub(super) async fn send(
        &self,
        words: &Words,
        host: &str,
        link: &Link,
        timeout: std::time::Duration,
    ) -> Result<(), Error> {
        let mail = self.write(words, host)?;
        match &self.by {
            By::Program(runs) => runs.run(link, &mail.formatted(), &[], timeout).await,
            By::Server { server, port, tls, login } => {
                let refused = |source| Error::Smtp { server: server.clone(), source };
                let hello = ClientId::Domain(host.to_owned());
                let stream = wire::connect(server, *port).await?;
                let peer = stream.stream.peer_addr();
                let peer = peer.map_err(|source| Error::Resolve { host: server.clone(), source })?;
                let (stream, slow) = match tls {
                    Secured::Tls(config, name) => {
                        let stream = wire::secure(stream, config.clone(), server, name.clone()).await?;
                        (Either::Secret(Box::new(stream)), false)
                    }
                    Secured::Starttls(_) => (Either::Plain(stream), true),
                    Secured::No => (Either::Plain(stream), false),
                };
                let wire = Box::new(Wire { stream, peer, slow });
                let mut smtp =
                    AsyncSmtpConnection::connect_with_transport(wire, &hello).await.map_err(refused)?;
                if let Secured::Starttls(parameters) = tls {
                    smtp.starttls(TlsParameters::clone(parameters), &hello).await.map_err(refused)?;
                }
                if let Some(login) = login {
                    smtp.auth(DEFAULT_MECHANISMS, login).await.map_err(refused)?;
                }
                smtp.send(mail.envelope(), &mail.formatted()).await.map_err(refused)?;
                smtp.quit().await.ok(); // it has the mail
                Ok(())
            }
        }
    }

    fn write(&self, words: &Words, host: &str) -> Result<Message, Error> {
        static MAILS: AtomicU64 = AtomicU64::new(0);
        let number = MAILS.fetch_add(1, Ordering::Relaxed);
        let (now, own) = (crate::clock::wall().0, std::process::id());
        let mut mail = Message::builder()
            .from(self.from.clone())
            .subject(words.subject.clone())
            .date_now()
            .message_id(Some(format!("<{now}.{own}.{number}@{host}>")))
            .header(ContentType::TEXT_PLAIN)
            .header(AutoSubmitted);
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        Ok(mail.body(words.text.clone() + "\n")?)
    }
}

fn mailbox(address: &str) -> Result<Mailbox, Error> {
    let parsed: Result<Address, _> = address.parse();
    let parsed = parsed.map_err(|source| Error::Address { address: address.to_owned(), source })?;
    Ok(Mailbox::new(None, parsed))
}

/// For STARTTLS, which the library speaks by itself.
fn parameters(server: &str, ca: Option<&std::path::Path>) -> Result<TlsParameters, Error> {
    wire::name(server)?;
    let refused = |source| Error::Smtp { server: server.to_owned(), source };
    let mut parameters = TlsParameters::builder(server.trim_matches(['[', ']']).to_owned());
    if let Some(path) = ca {
        parameters = parameters.certificate_store(CertificateStore::None);
        for certificate in wire::named(path)? {
            let certificate = Certificate::from_der(certificate.to_vec()).map_err(refused)?;
            parameters = parameters.add_root_certificate(certificate);
        }
    }
    parameters.build_rustls().map_err(refused)
}

/// So that nobody's holiday notice answers (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<AutoSubmitted, Box<dyn std::error::Error + Send + Sync>> {
        Ok(AutoSubmitted)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// What the library speaks over.
#[derive(Debug)]
struct Wire {
    stream: Either,
    peer: SocketAddr,
    /// One byte is read at a time until TLS begins: the library keeps what it has read ahead, so that an answer which somebody
    /// on the way had put behind that to STARTTLS would count as one that came over TLS.
    slow: bool,
}

/// How a record of TLS begins that shakes hands; no command of SMTP does.
const HANDSHAKE: u8 = 22;

#[derive(Debug)]
enum Either {
    Plain(wire::Capped<TcpStream>),
    Secret(Box<TlsStream<wire::Capped<TcpStream>>>),
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.slow && into.remaining() > 1 {
            let mut byte = [0];
            let mut one = ReadBuf::new(&mut byte);
            ready!(self.poll_read(cx, &mut one))?;
            into.put_slice(one.filled());
            return Poll::Ready(Ok(()));
        }
        match &mut self.stream {
            Either::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Either::Secret(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.slow &= bytes.first() != Some(&HANDSHAKE);
        match &mut self.stream {
            Either::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Either::Secret(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Either::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Either::Secret(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Either::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Either::Secret(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
