//! Where the past is told from: what a watchdog keeps in its state directory, or a recorded stream.

use std::{
    fs, io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use jiff::tz::TimeZone;
use regex::Regex;

use super::{Exit, Where, complain, say};
use crate::{
    config,
    model::{Service, Unit},
    stream::Kept,
};

/// What the commands that tell the past have in common.
#[derive(Debug, clap::Args)]
pub(super) struct Past {
    #[command(flatten)]
    place: Where,
    /// Read this recorded stream (JSON Lines, as `events` in the configuration writes it), not what is kept
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// As JSON, for programs
    #[arg(long)]
    pub(super) json: bool,
}

/// What the configuration tells of the past.
pub(super) struct Known {
    pub(super) kept: Kept,
    /// Where.
    pub(super) folder: PathBuf,
    pub(super) socket: PathBuf,
    pub(super) services: Vec<(Service, Unit, Option<String>)>,
}

impl Past {
    /// What the configuration says. One with faults hides nothing that was kept: then it is looked for where it is by default.
    pub(super) fn known(&self) -> Result<Known, Exit> {
        let known =
            |folder: PathBuf, socket, services| Known { kept: Kept::new(&folder), folder, socket, services };
        match config::load(self.place.config.as_deref()) {
            Ok(loaded) => {
                let settings = loaded.settings;
                let guards = settings.policy.services.into_iter();
                let services = guards.map(|(service, guard)| (service, guard.unit, guard.group)).collect();
                Ok(known(settings.state_directory, settings.control_socket, services))
            }
            Err(faults) if self.place.config.is_some() => {
                say::faults(&faults);
                Err(Exit::Configuration(faults.exit_code()))
            }
            Err(_) if self.file.is_some() || Path::new(config::DEFAULT_STATE).is_dir() => {
                Ok(known(config::DEFAULT_STATE.into(), config::DEFAULT_SOCKET.into(), Vec::new()))
            }
            Err(faults) => {
                say::faults(&faults);
                Err(Exit::Configuration(faults.exit_code()))
            }
        }
    }

    /// The recorded stream that was given.
    pub(super) fn recorded(&self) -> Option<Result<String, Exit>> {
        let file = self.file.as_ref()?;
        let read = fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Some(read.map_err(|fault| unreadable(&file.display(), &fault)))
    }
}

impl Known {
    /// What is kept, or why it cannot be read.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Kept) -> io::Result<T>) -> Result<T, Exit> {
        read(&self.kept)
            .map_err(|fault| unreadable(&format_args!("what is kept in {}", self.folder.display()), &fault))
    }

    /// Somebody listens on the control socket.
    pub(super) fn somebody_runs(&self) -> bool {
        match UnixStream::connect(&self.socket) {
            Ok(_) => true,
            Err(fault) => fault.kind() == io::ErrorKind::PermissionDenied,
        }
    }

    /// Whether a service is meant by one of these names; none: every one is.
    pub(super) fn is_meant<'a>(&'a self, asked: &'a [String]) -> impl Fn(&Service) -> bool + 'a {
        let patterns: Vec<Option<Regex>> = asked.iter().map(|asked| pattern(asked)).collect();
        move |service| {
            let known = self.services.iter().find(|(name, _, _)| name == service);
            let mut names = vec![service.as_str()];
            names.extend(known.map(|(_, unit, _)| unit.as_str()));
            names.extend(known.and_then(|(_, unit, _)| unit.as_str().strip_suffix(".service")));
            names.extend(known.and_then(|(_, _, group)| group.as_deref()));
            let fits = |(asked, pattern): (&String, &Option<Regex>)| match pattern {
                Some(pattern) => names.iter().any(|name| pattern.is_match(name)),
                None => names.contains(&asked.as_str()),
            };
            asked.is_empty() || asked.iter().zip(&patterns).any(fits)
        }
    }

    /// The service of this name or unit.
    pub(super) fn service(&self, asked: &str) -> Option<Service> {
        let is = |(name, unit, _): &&(Service, Unit, Option<String>)| {
            name.as_str() == asked
                || unit.as_str() == asked
                || unit.as_str().strip_suffix(".service") == Some(asked)
        };
        let exact = self.services.iter().find(|(name, _, _)| name.as_str() == asked);
        exact.or_else(|| self.services.iter().find(is)).map(|(name, _, _)| name.clone())
    }
}

/// `*` stands for any letters, `?` for one; `None`: neither is in it.
fn pattern(asked: &str) -> Option<Regex> {
    if !asked.contains(['*', '?']) {
        return None;
    }
    let escaped = regex::escape(asked).replace(r"\*", ".*").replace(r"\?", ".");
    Regex::new(&format!("^{escaped}$")).ok()
}

fn unreadable(what: &dyn std::fmt::Display, fault: &io::Error) -> Exit {
    if fault.kind() == io::ErrorKind::PermissionDenied {
        complain(format_args!("cannot read {what}: {fault} (try `sudo`)"));
        return Exit::NoPermission;
    }
    complain(format_args!("cannot read {what}: {fault}"));
    Exit::NoInput
}

/// The time zone of this host.
pub(super) fn zone() -> TimeZone {
    TimeZone::system()
}
