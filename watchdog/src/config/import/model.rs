//! What monit's statements say, in types. Deliberately absent: what becomes of them.

/// What a `check` looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Process,
    File,
    Filesystem,
    Directory,
    Fifo,
    Host,
    Network,
    Program,
    System,
}

/// `check KIND NAME …`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// `pidfile` or `path`, or the program's command.
    pub(super) path: Option<String>,
    /// `matching`
    pub(super) matching: bool,
    /// `address`
    pub(super) address: Option<String>,
    /// `as uid`, of a program.
    pub(super) user: Option<String>,
    /// Seconds, of a program.
    pub(super) timeout: Option<u64>,
}

/// `start`, `stop` or `restart program`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) command: String,
    /// `as uid` or `gid`.
    pub(super) as_other: bool,
    /// Seconds.
    pub(super) timeout: Option<u64>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Check(Check),
    Start(Method),
    Stop(Method),
    Restart(Method),
    If(Box<Rule>),
    Group(String),
    Depends(Vec<String>),
    /// `every N cycles`
    Every(u64),
    /// `every "…"`, `not every`: times of the day.
    Schedule,
    Mode(String),
    OnReboot(String),
    Alert,
    NoAlert,
    Ignore,
    Include(String),
    Daemon {
        seconds: u64,
        delayed: bool,
    },
    /// Any other `set`, with its second word.
    Set(String),
    /// Not of monit's language, as far as this version knows it; why.
    Unknown(&'static str),
}

/// `if TEST [for …] then ACTION [else …]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) test: Test,
    pub(super) rate: Rate,
    pub(super) action: Action,
    /// It has an `else`.
    pub(super) otherwise: bool,
    /// Words that nobody understood.
    pub(super) rest: Vec<String>,
}

/// `count` times within `cycles`; in a row where they are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) count: u64,
    pub(super) cycles: u64,
}

/// What a rule looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Connection(Box<Connection>),
    Ping,
    /// `does not exist`
    Missing,
    /// `exists`
    Exists,
    /// `N restarts within M cycles`
    Restarts(Rate),
    /// `match` or `content`, of a file.
    Content {
        negated: bool,
        pattern: String,
    },
    /// `status`, of a program.
    Status {
        sign: Sign,
        code: u64,
    },
    /// CPU, memory, load, disks: by its first word.
    Usage(String),
    /// Checksum, owner, mode, size, time: by its first word.
    Attribute(String),
    /// `changed …`
    Changed(String),
    Unknown,
}

/// A comparison; monit's own default is `=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Alert,
    Restart,
    Start,
    Stop,
    /// `unmonitor` and its old name `timeout`.
    Unmonitor,
    Monitor,
    Exec(String),
    Unknown,
}

/// `failed [host …] port …`, `failed unixsocket …`, `failed url …`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) host: Option<String>,
    pub(super) port: Option<u64>,
    pub(super) unix: Option<String>,
    /// As `failed url` names it, without user and password.
    pub(super) url: Option<String>,
    pub(super) udp: bool,
    pub(super) secure: bool,
    /// `verify: enable`
    pub(super) verify: bool,
    /// `certificate valid > N days`
    pub(super) certificate_days: Option<u64>,
    pub(super) protocol: Option<String>,
    pub(super) request: Option<String>,
    pub(super) method: Option<String>,
    pub(super) status: Option<(Sign, u64)>,
    pub(super) content: Option<(bool, String)>,
    pub(super) host_header: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) credentials: bool,
    /// `send`, `expect`
    pub(super) talk: bool,
    /// Milliseconds.
    pub(super) timeout: Option<u64>,
    pub(super) retry: Option<u64>,
}

impl Connection {
    /// It goes somewhere.
    pub(super) fn is_any(&self) -> bool {
        self.port.is_some() || self.unix.is_some() || self.url.is_some()
    }

    pub(super) fn is_http(&self) -> bool {
        self.url.is_some() || matches!(self.protocol.as_deref(), Some("http" | "https"))
    }

    pub(super) fn is_secure(&self) -> bool {
        let by_url = self.url.as_ref().is_some_and(|url| url.to_ascii_lowercase().starts_with("https:"));
        self.secure || by_url || self.protocol.as_deref() == Some("https")
    }
}
