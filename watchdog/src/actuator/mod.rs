//! Carries out one order through systemd.
//!
//! Invariant: an order can only hit the incarnation that it is meant for. A restart is one job of systemd, in mode `fail`,
//! which gives way to every job of others; a kill goes through the directory of the incarnation's own cgroup, opened when
//! it was learnt, and fails harmlessly once that is gone. A PID file is removed only as the very file that was proved to be
//! stale; whoever gives the order to start afresh looks again and removes it first. Orders run side by side, each with a deadline.
//! Deliberately absent: waiting for a job's end (the unit's signs tell it), and any decision.

mod cgroups;
mod pid_file;

use std::sync::Arc;

use crate::{
    clock,
    model::{Act, Action, ActiveState, Incarnation, Outcome, Result, Unit, UnitState},
    systemd::{
        Connection, Error, Link,
        cgroup::{Cgroup, Killed},
    },
};
use cgroups::Cgroups;
pub use pid_file::{Error as PidFileError, remove_pid_file};

/// Carries out orders.
#[derive(Debug)]
pub struct Actuator {
    link: Link,
    cgroups: Cgroups,
}

impl Actuator {
    /// Gives orders to systemd over this link.
    pub fn new(link: Link) -> Actuator {
        Actuator { link, cgroups: Cgroups::default() }
    }

    /// Learns of each incarnation, so that it can be killed later and no other with it. To be called with every state of
    /// every unit.
    pub fn learn(&mut self, state: &UnitState) {
        self.cgroups.learn(state);
    }

    /// Carries out an order. Ends within seconds, whatever systemd does; meant to be spawned.
    pub fn carry_out(&self, act: Act) -> impl Future<Output = Outcome> + Send + use<> {
        let link = self.link.clone();
        let cgroup = act.incarnation.and_then(|incarnation| self.cgroups.of(&act.unit, incarnation));
        async move {
            let requested = clock::now();
            let result = attempt(&link, &act, cgroup).await;
            let Act { id: order, service, incident, .. } = act;
            Outcome { order, service, incident, requested, at: clock::now(), result }
        }
    }
}

async fn attempt(link: &Link, act: &Act, cgroup: Option<Arc<Cgroup>>) -> Result {
    if let (Action::Kill, Some(cgroup)) = (act.action, &cgroup) {
        match cgroup.kill() {
            Ok(Killed::Yes) => return Result::Done,
            Ok(Killed::Empty) => return Result::Nothing,
            Ok(Killed::NoKill) => {}
            Err(error) => {
                tracing::warn!(unit = %act.unit, %error, "cannot kill by the cgroup; asking systemd");
            }
        }
    }
    let about = act.unit.as_str();
    let done = async {
        let connection = link.connection(about).await?;
        carry_out(&connection, act).await
    };
    done.await.unwrap_or_else(answer)
}

async fn carry_out(connection: &Connection, act: &Act) -> std::result::Result<Result, Error> {
    let unit = &act.unit;
    let queued = match act.action {
        Action::Restart { reset } => {
            // TryRestartUnit knows the unit's name alone, and another hand may have started it anew since it was decided
            if act.incarnation.is_some() && connection.incarnation(unit).await? != act.incarnation {
                return Ok(Result::Nothing);
            }
            clear(connection, unit, reset).await?;
            connection.try_restart(unit).await?
        }
        Action::Start { reset } | Action::StartAfresh { reset, .. } => {
            clear(connection, unit, reset).await?;
            connection.start(unit).await?
        }
        Action::Undo => connection.stop(unit).await?,
        Action::Reboot => {
            // another hand may have started it anew since it was decided; one that is down may have lost its name
            let runs = connection.incarnation(unit).await?;
            if runs.is_some() && runs != act.incarnation {
                return Ok(Result::Nothing);
            }
            connection.reboot().await?
        }
        Action::Cancel { job } => {
            connection.cancel(job).await?;
            return Ok(Result::Done);
        }
        Action::Kill => return kill(connection, unit, act.incarnation).await,
    };
    Ok(Result::Queued { job: queued.id })
}

async fn clear(connection: &Connection, unit: &Unit, reset: bool) -> std::result::Result<(), Error> {
    match reset {
        true => connection.reset_failed(unit).await,
        false => Ok(()),
    }
}

/// The kill of kernels without `cgroup.kill`: systemd kills by the unit's name, so only while the incarnation is on its way out.
async fn kill(
    connection: &Connection,
    unit: &Unit,
    incarnation: Option<Incarnation>,
) -> std::result::Result<Result, Error> {
    let said = connection.read(unit).await?;
    let dying = said.active == Some(ActiveState::Deactivating);
    if !dying || incarnation.is_none() || said.incarnation != Some(incarnation) {
        return Ok(Result::Nothing);
    }
    connection.kill(unit).await?;
    Ok(Result::Done)
}

/// What an error means to the policy.
fn answer(error: Error) -> Result {
    let text = error.to_string();
    match error {
        Error::Refused { error, .. } if NOTHING_LEFT.contains(&error.as_str()) => Result::Nothing,
        Error::Refused { error, text, .. } => Result::Refused { error, text },
        Error::Unreachable { .. }
        | Error::Connect { .. }
        | Error::Greet { .. }
        | Error::Silent { .. }
        | Error::NotConnected { .. }
        | Error::NoReply { .. }
        | Error::Broken { .. }
        | Error::Malformed { .. }
        | Error::Cgroup { .. }
        | Error::NoCgroup2
        | Error::CannotRun { .. } => Result::NoReply { text },
    }
}

/// What systemd calls a job that is over, and a unit without processes.
const NOTHING_LEFT: [&str; 2] =
    ["org.freedesktop.systemd1.NoSuchJob", "org.freedesktop.systemd1.NoSuchProcess"];
