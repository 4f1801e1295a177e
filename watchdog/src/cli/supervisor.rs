//! What systemd wants to hear of the service that watchdog is itself.

use std::time::Duration;

use sd_notify::NotifyState;

/// Talks to systemd where it started us (`NOTIFY_SOCKET`); says nothing elsewhere.
#[derive(Debug)]
pub(super) struct Supervisor {
    ping_every: Option<Duration>,
}

impl Supervisor {
    pub(super) fn new() -> Supervisor {
        // half of WatchdogSec=, as sd_watchdog_enabled(3) asks for
        Supervisor { ping_every: sd_notify::watchdog_enabled().map(|within| within / 2) }
    }

    pub(super) fn ready(&self) {
        say(&[NotifyState::Ready]);
    }

    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => say(&[NotifyState::Reloading, now]),
            Err(_) => say(&[NotifyState::Reloading]),
        }
    }

    pub(super) fn stopping(&self) {
        say(&[NotifyState::Stopping]);
    }

    /// Waits until systemd wants to hear that we live, and says so; for ever where it does not want to.
    pub(super) async fn ping(&self) {
        match self.ping_every {
            Some(every) => {
                tokio::time::sleep(every).await;
                say(&[NotifyState::Watchdog]);
            }
            None => std::future::pending().await,
        }
    }
}

fn say(state: &[NotifyState<'_>]) {
    if let Err(fault) = sd_notify::notify(state) {
        tracing::debug!(%fault, "cannot tell systemd");
    }
}
