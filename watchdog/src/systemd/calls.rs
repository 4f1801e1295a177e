use zbus::OwnedObjectPath;

use super::{
    Connection, Error, Said, Traits,
    connection::{MANAGER, MANAGER_PATH, PROPERTIES, read},
    names, said, signal, traits,
};
use crate::model::{Incarnation, JobKind, SystemState, Unit};

/// A job that systemd has queued; [`Queued::id`] is its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// systemd's number of the job.
    pub id: u32,
}

/// The modes that we use: `fail` never touches a job of others, `replace` does, and what is asked `replace-irreversibly` only
/// an explicit cancel takes back.
pub(super) const FAIL: &str = "fail";
const REPLACE: &str = "replace";
const REPLACE_IRREVERSIBLY: &str = "replace-irreversibly";

/// What `systemctl reboot` starts, by way of logind.
const REBOOT: &str = "reboot.target";

const SYSTEM_STATE: (&str, &str) = (MANAGER, "SystemState");

const NOT_LOADED: &str = "org.freedesktop.systemd1.NoSuchUnit";

impl Connection {
    /// One job, stop then start, of a living unit; a dead one is left dead.
    ///
    /// # Errors
    /// [`Error::Refused`] when another job stands against it, and all errors of a call.
    pub async fn try_restart(&self, unit: &Unit) -> Result<Queued, Error> {
        self.queue("TryRestartUnit", unit.as_str(), FAIL).await
    }

    /// Starts a unit.
    ///
    /// # Errors
    /// [`Error::Refused`] when another job stands against it or the unit cannot be started, and all errors of a call.
    pub async fn start(&self, unit: &Unit) -> Result<Queued, Error> {
        self.queue("StartUnit", unit.as_str(), FAIL).await
    }

    /// Stops a unit, whatever job is queued on it.
    ///
    /// # Errors
    /// All errors of a call.
    pub async fn stop(&self, unit: &Unit) -> Result<Queued, Error> {
        self.queue("StopUnit", unit.as_str(), REPLACE).await
    }

    /// Reboots the host in good order: everything is stopped first. (The manager's own `Reboot` skips that.)
    ///
    /// # Errors
    /// [`Error::Refused`] where a reboot or shutdown is on its way already, and all errors of a call.
    pub async fn reboot(&self) -> Result<Queued, Error> {
        self.queue("StartUnit", REBOOT, REPLACE_IRREVERSIBLY).await
    }

    /// Cancels a job.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NoSuchJob` when it is over, and all errors of a call.
    pub async fn cancel(&self, job: u32) -> Result<(), Error> {
        self.manager("CancelJob", &job, &format!("job {job}")).await.map(drop)
    }

    /// Clears the start limit, the failed state and NRestarts. A unit that is not loaded has none of them.
    ///
    /// # Errors
    /// All errors of a call.
    pub async fn reset_failed(&self, unit: &Unit) -> Result<(), Error> {
        match self.manager("ResetFailedUnit", &unit.as_str(), unit.as_str()).await {
            Err(Error::Refused { error, .. }) if error == NOT_LOADED => Ok(()),
            other => other.map(drop),
        }
    }

    /// Sends SIGKILL to every process of a unit, whichever incarnation it is of.
    ///
    /// # Errors
    /// All errors of a call.
    pub async fn kill(&self, unit: &Unit) -> Result<(), Error> {
        let body = (unit.as_str(), "all", rustix::process::Signal::KILL.as_raw());
        self.manager("KillUnit", &body, unit.as_str()).await.map(drop)
    }

    /// Everything that systemd says about a unit, at one moment; one that is not there has `load` not-found.
    ///
    /// # Errors
    /// All errors of a call.
    pub async fn read(&self, unit: &Unit) -> Result<Said, Error> {
        let reply = self.properties(&names::path_of(unit), unit.as_str()).await?;
        Said::of_all(&reply).map_err(|source| malformed(unit.as_str(), source))
    }

    /// Every service that there is a unit file for, or that is generated; templates have no name of their own and are left out.
    ///
    /// # Errors
    /// All errors of a call.
    pub async fn services(&self) -> Result<Vec<Unit>, Error> {
        let about = "the list of unit files";
        let patterns: (&[&str], &[&str]) = (&[], &["*.service"]); // in any state
        let reply = self.manager("ListUnitFilesByPatterns", &patterns, about).await?;
        let files: Vec<(String, String)> = read(&reply, about)?;
        let name = |(path, _): &(String, String)| path.rsplit('/').next().and_then(|name| name.parse().ok());
        Ok(files.iter().filter_map(name).filter(|unit: &Unit| !unit.as_str().contains("@.")).collect())
    }

    /// The same, and what else of its settings is worth an explanation.
    ///
    /// # Errors
    /// All errors of a call.
    pub async fn survey(&self, unit: &Unit) -> Result<(Said, Traits), Error> {
        let reply = self.properties(&names::path_of(unit), unit.as_str()).await?;
        traits::of_all(&reply).map_err(|source| malformed(unit.as_str(), source))
    }

    /// Has systemd read all unit files again, as `systemctl daemon-reload` does.
    ///
    /// # Errors
    /// All errors of a call.
    pub async fn reload(&self) -> Result<(), Error> {
        self.manager("Reload", &(), "its unit files").await.map(drop)
    }

    /// The run that is there now; `None` when there has been none.
    ///
    /// # Errors
    /// All errors of a call.
    pub async fn incarnation(&self, unit: &Unit) -> Result<Option<Incarnation>, Error> {
        let (path, body) = (names::path_of(unit), (signal::UNIT, "InvocationID"));
        let reply = self.object(&path, PROPERTIES, "Get", &body, unit.as_str()).await?;
        let body = reply.body();
        let id: zbus::Variant<'_> = body.deserialize().map_err(|source| malformed(unit.as_str(), source))?;
        Ok(said::bytes(&id).and_then(|id| id.try_into().ok()).map(Incarnation))
    }

    /// What systemd itself is doing.
    ///
    /// # Errors
    /// All errors of a call.
    pub async fn system_state(&self) -> Result<SystemState, Error> {
        let about = "the state of the system";
        let reply = self.object(MANAGER_PATH, PROPERTIES, "Get", &SYSTEM_STATE, about).await?;
        signal::system_state(&reply).map_err(|source| malformed(about, source))
    }

    /// What a job does.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is over, and all errors of a call.
    pub async fn job(&self, job: u32) -> Result<Option<JobKind>, Error> {
        let about = format!("job {job}");
        let body = (signal::JOB, "JobType");
        let reply = self.object(&signal::job_path(job), PROPERTIES, "Get", &body, &about).await?;
        Ok(signal::job_kind(&reply))
    }

    /// Sends [`Connection::read`]'s call; its reply is met among the messages, by this serial.
    ///
    /// # Errors
    /// [`Error::Broken`].
    pub async fn ask_all(&self, unit: &Unit) -> Result<u32, Error> {
        self.send(&names::path_of(unit), PROPERTIES, "GetAll", &EVERY_INTERFACE, unit.as_str()).await
    }

    /// Sends [`Connection::job`]'s call; its reply is met among the messages, by this serial.
    ///
    /// # Errors
    /// [`Error::Broken`].
    pub async fn ask_job(&self, job: u32) -> Result<u32, Error> {
        let body = (signal::JOB, "JobType");
        self.send(&signal::job_path(job), PROPERTIES, "Get", &body, &format!("job {job}")).await
    }

    /// Sends [`Connection::system_state`]'s call; its reply is met among the messages, by this serial.
    ///
    /// # Errors
    /// [`Error::Broken`].
    pub async fn ask_system_state(&self) -> Result<u32, Error> {
        self.send(MANAGER_PATH, PROPERTIES, "Get", &SYSTEM_STATE, "the state of the system").await
    }

    async fn properties(&self, path: &str, about: &str) -> Result<zbus::Message, Error> {
        self.object(path, PROPERTIES, "GetAll", &EVERY_INTERFACE, about).await
    }

    async fn queue(&self, member: &str, unit: &str, mode: &str) -> Result<Queued, Error> {
        let reply = self.manager(member, &(unit, mode), unit).await?;
        let path: OwnedObjectPath = read(&reply, unit)?;
        let id = signal::job_of(path.as_str());
        id.map(|id| Queued { id }).ok_or_else(|| malformed(unit, zbus::Error::InvalidObjectPath))
    }
}

/// systemd gives all interfaces of an object in one reply: a picture of one moment.
const EVERY_INTERFACE: &str = "";

fn malformed(about: &str, source: zbus::Error) -> Error {
    Error::Malformed { about: about.to_owned(), source: Box::new(source) }
}
