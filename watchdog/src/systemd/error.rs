use std::{io, path::PathBuf, time::Duration};

/// Why systemd could not be asked, or what it answered instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither way leads to PID 1.
    #[error(
        "cannot reach systemd: {private}; {bus} (is systemd PID 1 in this PID namespace, and are we root?)"
    )]
    Unreachable {
        /// Why not over the private socket.
        private: Box<Error>,
        /// Why not over the bus.
        bus: Box<Error>,
    },
    /// A socket could not be opened.
    #[error("cannot connect to {}: {source}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A socket was opened, but no D-Bus conversation came about.
    #[error("cannot talk to systemd over {}: {source}", path.display())]
    Greet {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: Box<zbus::Error>,
    },
    /// A socket was opened, and then nothing came in time.
    #[error("no answer over {} within {after:?}", path.display())]
    Silent {
        /// The socket.
        path: PathBuf,
        /// The deadline.
        after: Duration,
    },
    /// There is no connection now; it is being opened again.
    #[error("cannot ask systemd about {about}: not connected; trying again")]
    NotConnected {
        /// The unit or job.
        about: String,
    },
    /// systemd did not reply in time: what became of the request is not known.
    #[error("systemd did not reply about {about} within {after:?}; read the unit again")]
    NoReply {
        /// The unit or job.
        about: String,
        /// The deadline.
        after: Duration,
    },
    /// The connection broke before the reply: what became of the request is not known.
    #[error("cannot ask systemd about {about}: {source}; read the unit again")]
    Broken {
        /// The unit or job.
        about: String,
        /// Why.
        source: Box<zbus::Error>,
    },
    /// systemd answered with an error.
    #[error("systemd refuses {about}: {text} ({error})")]
    Refused {
        /// The unit or job.
        about: String,
        /// The D-Bus error's name, such as `org.freedesktop.systemd1.TransactionIsDestructive`.
        error: String,
        /// Its text.
        text: String,
    },
    /// The reply makes no sense.
    #[error(
        "cannot understand systemd's reply about {about}: {source}; please report this version of systemd"
    )]
    Malformed {
        /// The unit or job.
        about: String,
        /// Where.
        source: Box<zbus::Error>,
    },
    /// A cgroup's directory could not be opened or read.
    #[error("cannot read the cgroup {}: {source}", path.display())]
    Cgroup {
        /// Its directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No cgroup2 file system is mounted here.
    #[error(
        "no cgroup2 file system in /proc/self/mountinfo; mount one, or boot with systemd.unified_cgroup_hierarchy=1"
    )]
    NoCgroup2,
    /// A program could not be started at all: nothing is known of what it was to check.
    #[error("cannot run {program}: {why}")]
    CannotRun {
        /// The program.
        program: String,
        /// Why.
        why: String,
    },
}

impl Error {
    /// The error of one call about `about`; `after` is the deadline it had.
    pub(crate) fn of_call(about: &str, source: zbus::Error, after: Duration) -> Error {
        let about = about.to_owned();
        if let zbus::Error::MethodError(name, text, _) = &source {
            let (error, text) = (name.to_string(), text.clone().unwrap_or_default());
            return Error::Refused { about, error, text };
        }
        if let zbus::Error::InputOutput(e) = &source
            && e.kind() == io::ErrorKind::TimedOut
        {
            return Error::NoReply { about, after };
        }
        if let zbus::Error::FDO(error) = &source {
            return Error::of_standard(about, error, after);
        }
        Error::Broken { about, source: Box::new(source) }
    }

    /// An error by one of D-Bus's own names: from the bus it can mean that systemd was never asked or never answered.
    fn of_standard(about: String, error: &zbus::fdo::Error, after: Duration) -> Error {
        use zbus::{DBusError, fdo};
        if let fdo::Error::NoReply(_) | fdo::Error::Timeout(_) | fdo::Error::TimedOut(_) = error {
            return Error::NoReply { about, after };
        }
        let gone = matches!(
            error,
            fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_) | fdo::Error::Disconnected(_)
        );
        if gone {
            return Error::NotConnected { about };
        }
        let (name, text) = (error.name().to_string(), error.description().unwrap_or_default().to_owned());
        Error::Refused { about, error: name, text }
    }
}
