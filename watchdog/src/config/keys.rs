//! Every table and every key that a configuration may hold, and which of them this version only checks.

/// The tables, with the name of a service left out (`*`), and their keys.
pub(super) const TABLES: [(&str, &[&str]); 18] = [
    (
        "watchdog",
        &["mode", "state_directory", "control_socket", "events", "budget", "gates", "notify", "recorder"],
    ),
    ("watchdog.budget", &["concurrent_restarts", "restarts", "within"]),
    ("watchdog.gates", &["memory", "io", "cpu", "disk_free", "hold_for"]),
    ("watchdog.recorder", &["enabled", "kinds", "within", "size", "files", "total"]),
    (
        "watchdog.notify",
        &[
            "gather",
            "repeat_after",
            "incidents",
            "within",
            "burst",
            "per",
            "retry_after",
            "give_up_after",
            "exec",
            "webhook",
            "mail",
        ],
    ),
    ("watchdog.notify.exec", &["command", "user", "on", "timeout"]),
    ("watchdog.notify.webhook", &["url", "url_file", "headers", "token_file", "ca", "on", "timeout"]),
    ("watchdog.notify.webhook.headers", &[]), // any name of a header
    (
        "watchdog.notify.mail",
        &["from", "to", "server", "port", "tls", "ca", "user", "password_file", "sendmail", "on", "timeout"],
    ),
    (
        "service.*",
        &[
            "unit",
            "group",
            "depends_on",
            "only_if_enabled",
            "preflight",
            "pid_file",
            "stale_pid_file",
            "heartbeat",
            "stall",
            "log",
            "restart",
        ],
    ),
    (
        "service.*.heartbeat",
        &[
            "url",
            "exec",
            "user",
            "connect",
            "method",
            "headers",
            "basic_auth_file",
            "tls",
            "status",
            "body",
            "body_regex",
            "timeout",
            "failures",
            "retry_after",
            "every",
            "every_in_use",
            "on_failure",
        ],
    ),
    ("service.*.heartbeat.tls", &["verify", "ca", "expires_within"]),
    ("service.*.heartbeat.headers", &[]), // any name of a header
    ("service.*.stall", &["accept_after", "answer_after", "status_5xx"]),
    ("service.*.log", &["path", "status", "match", "share", "minimum", "within"]),
    (
        "service.*.restart",
        &[
            "on",
            "stop_timeout",
            "start_timeout",
            "grace",
            "burst",
            "within",
            "backoff",
            "backoff_max",
            "stable",
            "ladder",
        ],
    ),
    ("service.*.restart.ladder", &["reboot", "reboot_after", "reboot_every"]),
    ("", &["watchdog", "service"]),
];

/// Keys that are read and checked, and not acted upon by this version; and what that means.
pub(super) const CHECKED_ONLY: [(&str, &str); 0] = [];

/// Tables that the documentation names and this version does not know yet. They are refused: whoever writes one counts on it.
pub(super) const TO_COME: [&str; 0] = [];

/// The keys of a table.
pub(super) fn of(table: &str) -> &'static [&'static str] {
    TABLES.iter().find(|(name, _)| *name == table).map_or(&[], |(_, keys)| keys)
}

/// The one table that has this key, if it is one alone.
pub(super) fn home(key: &str) -> Option<&'static str> {
    let homes = TABLES.iter().filter(|(_, keys)| keys.contains(&key)).map(|(name, _)| *name);
    // who is told is another matter: its keys are called as those of services are
    let (tells, others): (Vec<_>, Vec<_>) = homes.partition(|name| name.starts_with("watchdog.notify"));
    match (others.as_slice(), tells.as_slice()) {
        ([home], _) | ([], [home]) => Some(home),
        _ => None,
    }
}

/// The key that was probably meant.
pub(super) fn meant<'a>(key: &str, keys: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = keys.into_iter().map(|known| (strsim::damerau_levenshtein(key, known), known));
    near.filter(|(distance, known)| *distance <= known.len().max(key.len()) / 3).min().map(|(_, known)| known)
}
