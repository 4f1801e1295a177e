use std::{error::Error as StdError, io, path::PathBuf};

use aya::{EbpfError, maps::MapError, programs::ProgramError};

use super::missing::Missing;

/// Why the probes do not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel tells nothing about its own structures.
    #[error(
        "cannot read {}: the probes need a kernel with CONFIG_DEBUG_INFO_BTF (distribution kernels from 5.17 on have it), \
         and /sys mounted",
        path.display()
    )]
    NoTypes {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What the kernel tells about itself is of no known form.
    #[error("cannot understand {}: it is no BTF of this machine", path.display())]
    BadTypes {
        /// The file.
        path: PathBuf,
    },
    /// The kernel refuses.
    #[error(
        "cannot load the probes: bpf() is not permitted; run watchdog as root, or with the capabilities CAP_BPF and \
         CAP_PERFMON, and without a SystemCallFilter= that denies it"
    )]
    NotPermitted {
        /// The refusal.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// Lockdown is on.
    #[error(
        "cannot load the probes: the kernel is locked down (confidentiality) and lets nobody read its memory; \
         boot with lockdown=integrity"
    )]
    LockedDown,
    /// The object is of another agreement between the kernel side and the user side.
    #[error(
        "cannot use this object of the probes: it lacks {symbol}; build it again with `cargo xtask build-ebpf`"
    )]
    OtherAbi {
        /// What it should have.
        symbol: &'static str,
    },
    /// The object was refused as a whole.
    #[error("cannot load the object of the probes")]
    Object {
        /// Why.
        source: Box<EbpfError>,
    },
    /// The kernel took none of the programs.
    #[error("cannot load any of the probes: {}", list(.0))]
    NoProgram(Vec<Missing>),
    /// One of our own namespaces cannot be told.
    #[error("cannot read {}: mount /proc", path.display())]
    Namespace {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A map is not there or not of the expected form.
    #[error("cannot use the map {name} of the probes")]
    Map {
        /// Its name.
        name: &'static str,
        /// Why.
        source: MapError,
    },
    /// The object lacks a map.
    #[error(
        "cannot find the map {name} in the object of the probes; build it again with `cargo xtask build-ebpf`"
    )]
    NoMap {
        /// Its name.
        name: &'static str,
    },
    /// Too much to watch.
    #[error(
        "cannot watch more than {limit} {what}, these are left out: {left_out}; split the configuration over several \
         hosts, or watch fewer ports"
    )]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are possible.
        limit: usize,
        /// Which are not watched.
        left_out: String,
    },
    /// The listeners that are there already cannot be looked at.
    #[error("cannot look for the present listeners")]
    Seed {
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A cgroup's answers cannot be read.
    #[error(
        "cannot tie the probe of answers to {}: CAP_NET_ADMIN may be missing, or another program there allows no second one",
        path.display()
    )]
    Egress {
        /// The cgroup's directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There are no cgroups of the kind that programs can be tied to.
    #[error("cannot read answers as they leave: there is no cgroup2 file system")]
    NoMount {
        /// Why.
        source: crate::systemd::Error,
    },
    /// The ring buffer cannot be waited for.
    #[error("cannot wait for records of the probes: open files may be exhausted (raise LimitNOFILE=)")]
    Ring {
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// Nobody may call bpf(2) here, for this reason.
    pub fn forbidden(why: &str) -> Error {
        Error::NotPermitted { source: why.into() }
    }

    /// To try again on this host, or for this process, comes to nothing.
    pub fn is_final(&self) -> bool {
        match self {
            Error::NoTypes { .. }
            | Error::BadTypes { .. }
            | Error::NotPermitted { .. }
            | Error::LockedDown
            | Error::OtherAbi { .. }
            | Error::NoProgram(_)
            | Error::NoMap { .. } => true,
            Error::Object { .. }
            | Error::Namespace { .. }
            | Error::Map { .. }
            | Error::TooMany { .. }
            | Error::Seed { .. }
            | Error::Egress { .. }
            | Error::NoMount { .. }
            | Error::Ring { .. } => false,
        }
    }

    /// With all its reasons.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut at = StdError::source(self);
        while let Some(reason) = at {
            text = format!("{text}: {reason}");
            at = reason.source();
        }
        text
    }

    pub(super) fn object(source: EbpfError) -> Error {
        if denied(&source) {
            return Error::NotPermitted { source: Box::new(source) };
        }
        // aya does not name this error's type for us.
        if source.to_string().contains(watchdog_common::ABI_SYMBOL) {
            return Error::OtherAbi { symbol: watchdog_common::ABI_SYMBOL };
        }
        Error::Object { source: Box::new(source) }
    }
}

/// The kernel said EPERM somewhere.
pub(super) fn denied(error: &(dyn StdError + 'static)) -> bool {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(io) = error.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::PermissionDenied
        {
            return true;
        }
        at = error.source();
    }
    false
}

/// The part of the kernel's refusal that says why: the errno, and the last words of the verifier without its statistics.
pub(super) fn refusal(error: &ProgramError) -> String {
    const STATISTICS: [&str; 3] = ["verification time", "stack depth", "processed"];
    let text = error.to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<&str> =
        lines.filter(|line| !STATISTICS.iter().any(|word| line.starts_with(word))).collect();
    match lines[..] {
        [] => text,
        [only] => only.to_owned(),
        [first, .., last] => format!("{first} … {last}"),
    }
}

fn list(missing: &[Missing]) -> String {
    missing.iter().map(Missing::to_string).collect::<Vec<_>>().join("; ")
}
