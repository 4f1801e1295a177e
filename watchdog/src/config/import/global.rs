//! What becomes of the statements outside of the checks.

use super::{
    At,
    change::Change,
    convert::Changes,
    model::Says,
    report::Fate,
    source::{Said, Script},
};

/// Debian's.
const USUAL: u64 = 120;

/// Seconds of a cycle: the last `set daemon` holds, as in monit.
pub(super) fn cycle(script: &Script, given: Option<u64>, changes: &mut Changes) -> u64 {
    let daemon =
        script.said.iter().rev().find_map(|said| {
            if let Says::Daemon { seconds, .. } = &said.says { Some(*seconds) } else { None }
        });
    if daemon.is_none() && given.is_none() {
        changes.entry(Change::NoCycle).or_default().insert(At { file: 0, line: 1 });
    }
    daemon.or(given).unwrap_or(USUAL).max(1)
}

pub(super) fn fate(said: &Said) -> Fate {
    match &said.says {
        Says::Daemon { delayed: false, .. } => Fate::to("every, within"),
        Says::Daemon { delayed: true, .. } => Fate::needless(
            "the length of a cycle is in every duration; units that the boot still starts are waited for",
        ),
        Says::Set(what) => set(what),
        Says::Include(_) => Fate::lost("no file matches"), // its true fate is known since it was read
        Says::Unknown(why) => Fate::lost(*why),
        Says::Check(_)
        | Says::Start(_)
        | Says::Stop(_)
        | Says::Restart(_)
        | Says::If(_)
        | Says::Group(_)
        | Says::Depends(_)
        | Says::Every(_)
        | Says::Schedule
        | Says::Mode(_)
        | Says::OnReboot(_)
        | Says::Alert
        | Says::NoAlert
        | Says::Ignore => Fate::lost("this stands outside of a check"),
    }
}

fn set(what: &str) -> Fate {
    match what {
        "httpd" => Fate::needless("`watchdog status` asks over a Unix socket: no port, no password"),
        "log" | "logfile" => {
            Fate::needless("watchdog's own words go to the journal, its records where `events` says")
        }
        "idfile" | "statefile" | "pidfile" => {
            Fate::needless("watchdog keeps its state in `state_directory`, and needs no PID file")
        }
        "limits" | "expectbuffer" => Fate::needless("what a heartbeat reads is bounded"),
        "init" | "terminal" => Fate::needless("systemd runs watchdog"),
        "onreboot" => {
            Fate::needless("what starts at boot is systemd's affair: `systemctl enable`, `disable`")
        }
        "eventqueue" => Fate::needless(
            "what a mail server does not take is kept, over a restart too, and tried again for six hours",
        ),
        "mmonit" => {
            Fate::lost("watchdog sends nothing to M/Monit; /metrics of its control socket is OpenMetrics")
        }
        "ssl" | "tls" | "fips" => Fate::lost("TLS is set for each heartbeat: [service.NAME.heartbeat.tls]"),
        _ => Fate::lost("watchdog has nothing like it"),
    }
}
