use std::{collections::BTreeSet, fmt, path::PathBuf, time::Duration};

use crate::model::NoticeKind;

/// `[watchdog.notify]`, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How often, and for how long.
    pub rules: Rules,
    /// Who is told; nobody where there is none. No two have one name.
    pub channels: Vec<Channel>,
}

/// How often people are told, and for how long it is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What happens within this is one message.
    pub gather: Duration,
    /// The same alert of a service is told once in this time.
    pub repeat_after: Duration,
    /// So many incidents that cost a restart …
    pub incidents: u32,
    /// … within this are told as repeated.
    pub within: Duration,
    /// So many messages of a channel …
    pub burst: u32,
    /// … in this time; what comes beyond that waits, and goes out as one.
    pub per: Duration,
    /// What was not taken is tried again after this, then after twice as long …
    pub retry_after: Duration,
    /// … and no longer than this altogether.
    pub give_up_after: Duration,
}

impl Default for Rules {
    fn default() -> Rules {
        let seconds = Duration::from_secs;
        Rules {
            gather: seconds(2),
            repeat_after: seconds(3_600),
            incidents: 3,
            within: seconds(3_600),
            burst: 10,
            per: seconds(600),
            retry_after: seconds(10),
            give_up_after: seconds(6 * 3_600),
        }
    }
}

/// One way to tell people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// How the stream and `check` call it; no secret is in it.
    pub name: String,
    /// What it tells.
    pub on: BTreeSet<NoticeKind>,
    /// For one message, from the first to the last byte.
    pub timeout: Duration,
    /// How.
    pub way: Way,
}

/// How a channel tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// A program is run.
    Exec(Exec),
    /// An HTTP request.
    Webhook(Webhook),
    /// A mail.
    Mail(Mail),
}

/// `[watchdog.notify.exec]`: the message is its standard input, as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// The program and its arguments; no shell.
    pub argv: Vec<String>,
    /// Whom it runs as; `None` is root.
    pub user: Option<String>,
}

/// `[watchdog.notify.webhook]`: the message is POSTed, as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// `https`.
    pub secure: bool,
    /// Host of the URL.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Path and query, from the first slash; often the secret.
    pub path: Secret,
    /// More headers, in order.
    pub headers: Vec<(String, Secret)>,
    /// PEM file with the issuers to trust, instead of the system's.
    pub ca: Option<PathBuf>,
}

/// `[watchdog.notify.mail]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The sender.
    pub from: String,
    /// Who gets it; one at least.
    pub to: Vec<String>,
    /// How it leaves the host.
    pub by: Carrier,
}

/// How a mail leaves the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A program that takes the mail as its standard input, such as `/usr/sbin/sendmail -t -i`.
    Sendmail {
        /// The program and its arguments.
        argv: Vec<String>,
    },
    /// A server.
    Smtp {
        /// Its name or address.
        server: String,
        /// Its port.
        port: u16,
        /// How the connection is kept secret.
        tls: MailTls,
        /// PEM file with the issuers to trust, instead of the system's.
        ca: Option<PathBuf>,
        /// User and password.
        login: Option<(String, Secret)>,
    },
}

/// How the connection to a mail server is kept secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// From its first byte.
    Tls,
    /// After STARTTLS, without which nothing is sent.
    Starttls,
    /// Not at all.
    None,
}

/// What is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
