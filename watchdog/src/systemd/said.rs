use std::{collections::HashMap, path::PathBuf, time::Duration};

use zbus::{Message, ObjectPath, Variant};

use crate::model::{ActiveState, Cause, CgroupId, Ends, FileState, Incarnation, LoadState, RestartOn};

/// What systemd says about a unit in one message: the part that changed, or everything. `None`: not said.
///
/// Total and tolerant: an unknown property, one of another type, or one that this version of systemd lacks is as if it were
/// not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Id: the unit's own name, where it was asked for by an alias.
    pub id: Option<String>,
    /// LoadState.
    pub load: Option<LoadState>,
    /// UnitFileState.
    pub file: Option<FileState>,
    /// ActiveState.
    pub active: Option<ActiveState>,
    /// SubState.
    pub sub: Option<String>,
    /// InvocationID; `Some(None)` where systemd has forgotten it.
    pub incarnation: Option<Option<Incarnation>>,
    /// MainPID; 0 is none.
    pub main_pid: Option<u32>,
    /// ControlGroupId.
    pub cgroup: Option<Option<CgroupId>>,
    /// ControlGroup.
    pub cgroup_path: Option<String>,
    /// Job: its number; 0 is none.
    pub job: Option<u32>,
    /// ExecMainCode: a CLD_ code of waitid(2); 0 is none.
    pub exec_code: Option<i32>,
    /// ExecMainStatus: exit code or signal.
    pub exec_status: Option<i32>,
    /// ExecMainExitTimestampMonotonic, microseconds.
    pub exec_exit: Option<u64>,
    /// InactiveExitTimestampMonotonic, microseconds: when this run began.
    pub began: Option<u64>,
    /// ActiveEnterTimestampMonotonic, microseconds.
    pub came_up: Option<u64>,
    /// ActiveExitTimestampMonotonic, microseconds.
    pub went: Option<u64>,
    /// Result.
    pub result: Option<String>,
    /// Restart.
    pub restart: Option<RestartOn>,
    /// RestartUSec.
    pub restart_pause: Option<Duration>,
    /// NRestarts.
    pub restarts: Option<u32>,
    /// TimeoutStopUSec; `Some(None)` is infinity.
    pub stop_timeout: Option<Option<Duration>>,
    /// TimeoutStartUSec; `Some(None)` is infinity.
    pub start_timeout: Option<Option<Duration>>,
    /// StartLimitBurst.
    pub start_limit_burst: Option<u32>,
    /// StartLimitIntervalUSec.
    pub start_limit_interval: Option<Duration>,
    /// TriggeredBy.
    pub triggered_by: Option<Vec<String>>,
    /// Type=oneshot.
    pub oneshot: Option<bool>,
    /// SuccessExitStatus.
    pub success: Option<Ends>,
    /// RestartPreventExitStatus.
    pub prevent: Option<Ends>,
    /// RestartForceExitStatus.
    pub force: Option<Ends>,
    /// PIDFile; `Some(None)` where the unit names none.
    pub pid_file: Option<Option<PathBuf>>,
    /// FileDescriptorStoreMax: descriptors that are kept over a restart.
    pub keeps: Option<u32>,
    /// ExecStart: the program of the first one.
    pub program: Option<Option<PathBuf>>,
}

impl Said {
    /// Reads a dictionary of properties.
    pub fn of(properties: &HashMap<&str, Variant<'_>>) -> Said {
        let mut said = Said::default();
        for (name, value) in properties {
            said.hear(name, value);
        }
        said
    }

    pub(super) fn of_all(reply: &Message) -> zbus::Result<Said> {
        let body = reply.body();
        body.deserialize().map(|properties| Said::of(&properties))
    }

    fn hear(&mut self, name: &str, value: &Variant<'_>) {
        match name {
            "Id" => self.id = text(value),
            "LoadState" => self.load = text(value).map(|state| load(&state)),
            "UnitFileState" => self.file = text(value).map(|state| file(&state)),
            "ActiveState" => self.active = text(value).and_then(|state| active(&state)),
            "SubState" => self.sub = text(value),
            "InvocationID" => self.incarnation = bytes(value).map(|id| id.try_into().ok().map(Incarnation)),
            "MainPID" => self.main_pid = u32_of(value),
            "ControlGroupId" => self.cgroup = u64_of(value).map(|id| (id != 0).then_some(CgroupId(id))),
            "ControlGroup" => self.cgroup_path = text(value),
            "Job" => self.job = first_u32(value),
            "ExecMainCode" => self.exec_code = i32_of(value),
            "ExecMainStatus" => self.exec_status = i32_of(value),
            "ExecMainExitTimestampMonotonic" => self.exec_exit = u64_of(value),
            "InactiveExitTimestampMonotonic" => self.began = u64_of(value),
            "ActiveEnterTimestampMonotonic" => self.came_up = u64_of(value),
            "ActiveExitTimestampMonotonic" => self.went = u64_of(value),
            "Result" => self.result = text(value),
            "Restart" => self.restart = text(value).and_then(|word| restart(&word)),
            "RestartUSec" => self.restart_pause = u64_of(value).map(Duration::from_micros),
            "NRestarts" => self.restarts = u32_of(value),
            "TimeoutStopUSec" => self.stop_timeout = u64_of(value).map(finite),
            "TimeoutStartUSec" => self.start_timeout = u64_of(value).map(finite),
            "StartLimitBurst" => self.start_limit_burst = u32_of(value),
            "StartLimitIntervalUSec" => self.start_limit_interval = u64_of(value).map(Duration::from_micros),
            "TriggeredBy" => self.triggered_by = texts(value),
            "Type" => self.oneshot = text(value).map(|kind| kind == "oneshot"),
            "SuccessExitStatus" => self.success = ends(value),
            "RestartPreventExitStatus" => self.prevent = ends(value),
            "RestartForceExitStatus" => self.force = ends(value),
            "PIDFile" => self.pid_file = text(value).map(|path| (!path.is_empty()).then(|| path.into())),
            "FileDescriptorStoreMax" => self.keeps = u32_of(value),
            "ExecStart" => self.program = first_program(value),
            _ => {}
        }
    }
}

/// How a process ended, by ExecMainCode and ExecMainStatus: a CLD_ code of waitid(2), and an exit code or a signal.
pub fn cause(code: i32, status: i32) -> Option<Cause> {
    const EXITED: i32 = 1;
    const KILLED: i32 = 2;
    const DUMPED: i32 = 3;
    let status = u8::try_from(status).unwrap_or(u8::MAX);
    match code {
        EXITED => Some(Cause::Code(status)),
        KILLED => Some(Cause::Signal { signal: status, core: false }),
        DUMPED => Some(Cause::Signal { signal: status, core: true }),
        _ => None,
    }
}

fn load(word: &str) -> LoadState {
    match word {
        "loaded" | "merged" => LoadState::Loaded,
        "not-found" => LoadState::NotFound,
        "masked" => LoadState::Masked,
        _ => LoadState::Error,
    }
}

fn file(word: &str) -> FileState {
    match word {
        "disabled" => FileState::Disabled,
        "masked" | "masked-runtime" => FileState::Masked,
        _ => FileState::Other,
    }
}

fn active(word: &str) -> Option<ActiveState> {
    Some(match word {
        "active" => ActiveState::Active,
        "reloading" | "refreshing" => ActiveState::Reloading,
        "inactive" => ActiveState::Inactive,
        "failed" => ActiveState::Failed,
        "activating" => ActiveState::Activating,
        "deactivating" => ActiveState::Deactivating,
        "maintenance" => ActiveState::Maintenance,
        _ => return None,
    })
}

fn restart(word: &str) -> Option<RestartOn> {
    Some(match word {
        "no" => RestartOn::No,
        "always" => RestartOn::Always,
        "on-success" => RestartOn::OnSuccess,
        "on-failure" => RestartOn::OnFailure,
        "on-abnormal" => RestartOn::OnAbnormal,
        "on-abort" => RestartOn::OnAbort,
        "on-watchdog" => RestartOn::OnWatchdog,
        _ => return None,
    })
}

/// systemd writes infinity as the largest number.
fn finite(micros: u64) -> Option<Duration> {
    (micros != u64::MAX).then_some(Duration::from_micros(micros))
}

pub(super) fn text(value: &Variant<'_>) -> Option<String> {
    value.downcast_ref::<&str>().ok().map(str::to_owned)
}

fn u32_of(value: &Variant<'_>) -> Option<u32> {
    value.downcast_ref().ok()
}

pub(super) fn u64_of(value: &Variant<'_>) -> Option<u64> {
    value.downcast_ref().ok()
}

fn i32_of(value: &Variant<'_>) -> Option<i32> {
    value.downcast_ref().ok()
}

pub(super) fn bytes(value: &Variant<'_>) -> Option<Vec<u8>> {
    elements(value).map(|items| items.filter_map(|item| item.downcast_ref::<u8>().ok()).collect())
}

fn texts(value: &Variant<'_>) -> Option<Vec<String>> {
    elements(value).map(|items| items.filter_map(text).collect())
}

fn ends(value: &Variant<'_>) -> Option<Ends> {
    Some(Ends { codes: numbers(value, 0)?, signals: numbers(value, 1)? })
}

/// The `field`th array of 32-bit numbers of a structure, those below 256.
fn numbers(value: &Variant<'_>, field: usize) -> Option<Vec<u8>> {
    let Variant::Structure(fields) = value else { return None };
    let items = elements(fields.fields().get(field)?)?;
    Some(items.filter_map(i32_of).filter_map(|number| u8::try_from(number).ok()).collect())
}

fn first_u32(value: &Variant<'_>) -> Option<u32> {
    let Variant::Structure(fields) = value else { return None };
    let (id, path) = (fields.fields().first()?, fields.fields().get(1)?);
    path.downcast_ref::<ObjectPath<'_>>().ok()?;
    u32_of(id)
}

/// The path of the first of a list of commands.
fn first_program(value: &Variant<'_>) -> Option<Option<PathBuf>> {
    let first = elements(value)?.next().and_then(|command| {
        let Variant::Structure(fields) = command else { return None };
        text(fields.fields().first()?)
    });
    Some(first.map(PathBuf::from))
}

pub(super) fn elements<'a>(value: &'a Variant<'a>) -> Option<impl Iterator<Item = &'a Variant<'a>>> {
    let Variant::Array(items) = value else { return None };
    Some(items.inner().iter())
}
