//! What the tests of several looks share.

use std::time::Duration;

use crate::model::{ActiveState, Ends, FileState, LoadState, RestartOn, UnitState};

/// A unit that is down and of which nothing is known.
pub(super) fn unit(name: &str) -> UnitState {
    UnitState {
        unit: name.parse().expect("a unit's name"),
        load: LoadState::Loaded,
        file: FileState::Other,
        active: ActiveState::Inactive,
        sub: String::new(),
        incarnation: None,
        main_pid: None,
        cgroup: None,
        cgroup_path: String::new(),
        job: None,
        main_ended: None,
        result: "success".into(),
        restart: RestartOn::No,
        restart_pause: Duration::ZERO,
        restarts: 0,
        stop_timeout: None,
        start_timeout: None,
        start_limit_burst: 0,
        start_limit_interval: Duration::ZERO,
        socket_activated: false,
        oneshot: false,
        success: Ends::default(),
        prevent: Ends::default(),
        force: Ends::default(),
        pid_file: None,
        program: None,
        came_up: false,
        stopped_first: false,
    }
}
