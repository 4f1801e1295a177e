use std::process::ExitCode;

use crate::model::Health;

/// The exit codes of sysexits(3) that watchdog uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// All is well.
    Ok,
    /// EX_USAGE: the command line is off.
    Usage,
    /// Not of sysexits: what is compared differs, as diff(1) says it.
    Different,
    /// EX_DATAERR: what was given is not what it should be.
    Data,
    /// EX_NOINPUT: what was given cannot be read.
    NoInput,
    /// EX_UNAVAILABLE: something that it needs is not there (systemd, eBPF).
    Unavailable,
    /// EX_SOFTWARE: a fault of watchdog's own.
    Software,
    /// EX_OSERR: the system refused something.
    System,
    /// EX_CANTCREAT: a file cannot be made.
    CannotCreate,
    /// EX_TEMPFAIL: another watchdog runs.
    AnotherRuns,
    /// EX_TEMPFAIL: something stands against what was asked for.
    NotDone,
    /// EX_NOPERM: not root.
    NoPermission,
    /// Not of sysexits: how the worst service is.
    Health(Health),
    /// What the configuration's faults say: EX_CONFIG, EX_NOINPUT or EX_NOPERM.
    Configuration(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Ok => 0,
            Exit::Usage => 64,
            Exit::Different => 1,
            Exit::Data => 65,
            Exit::NoInput => 66,
            Exit::Unavailable => 69,
            Exit::Software => 70,
            Exit::System => 71,
            Exit::CannotCreate => 73,
            Exit::AnotherRuns | Exit::NotDone => 75,
            Exit::NoPermission => 77,
            Exit::Health(Health::Well) => 0,
            Exit::Health(Health::Unsure) => 1,
            Exit::Health(Health::Down) => 2,
            Exit::Health(Health::Failing) => 3,
            Exit::Health(Health::Quarantined) => 4,
            Exit::Configuration(code) => code,
        })
    }
}
