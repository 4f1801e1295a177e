use std::process::ExitCode;

/// The exit codes of sysexits(3) that watchdog uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// All is well.
    Ok,
    /// EX_USAGE: the command line is off.
    Usage,
    /// EX_UNAVAILABLE: something that it needs is not there (systemd, eBPF).
    Unavailable,
    /// EX_SOFTWARE: a fault of watchdog's own.
    Software,
    /// EX_OSERR: the system refused something.
    System,
    /// EX_TEMPFAIL: another watchdog runs.
    AnotherRuns,
    /// EX_NOPERM: not root.
    NoPermission,
    /// What the configuration's faults say: EX_CONFIG, EX_NOINPUT or EX_NOPERM.
    Configuration(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Ok => 0,
            Exit::Usage => 64,
            Exit::Unavailable => 69,
            Exit::Software => 70,
            Exit::System => 71,
            Exit::AnotherRuns => 75,
            Exit::NoPermission => 77,
            Exit::Configuration(code) => code,
        })
    }
}
