//! What of a unit does not go with its policy.

use std::time::Duration;

use super::{guard, seconds, state};
use crate::{
    explain::unit,
    model::{RestartOn, Service, UnitState},
    policy::{Guard, StalePidFile},
};

#[test]
fn a9_a_stop_deadline_below_the_units_own_is_warned_of() {
    let guard = Guard { stop_timeout: Some(seconds(180)), ..guard("httpd.service") };
    let unit = UnitState { stop_timeout: Some(seconds(360)), ..state("httpd.service") };
    let warnings = unit::warnings(&Service::new("httpd"), &guard, &unit);
    assert_eq!(
        warnings,
        [
            "httpd: `stop_timeout` (3m) is shorter than the unit's TimeoutStopSec= (6m): a stop that the unit allows is cut short by a kill"
        ]
    );
}

#[test]
fn c12_a_pid_file_that_is_to_be_removed_must_be_named() {
    let guard = Guard { stale_pid_file: StalePidFile::Remove, ..guard("httpd.service") };
    let mut unit = state("httpd.service");
    let warnings = unit::warnings(&Service::new("httpd"), &guard, &unit);
    assert_eq!(
        warnings,
        [
            "httpd: stale_pid_file = \"remove\" has no file to go by: httpd.service has no PIDFile=, name it with `pid_file`"
        ]
    );
    unit.pid_file = Some("/run/httpd.pid".into());
    assert_eq!(unit::warnings(&Service::new("httpd"), &guard, &unit), Vec::<String>::new());
    let told = unit::own(&guard, &unit).join("\n");
    assert!(
        told.contains(
            "PID file /run/httpd.pid: looked at after a start that failed; a stale one is removed, with proof"
        ),
        "{told}"
    );
}

#[test]
fn c15_a_start_limit_that_is_never_reached_is_told() {
    let endless = "its own restarts are too far apart for its start limit";
    let mut unit = UnitState { restart: RestartOn::Always, ..state("app.service") };
    assert!(!unit::own(&guard("app.service"), &unit).join("\n").contains(endless));
    unit.restart_pause = Duration::from_secs(5); // five of them take longer than the interval of 10 s
    let told = unit::own(&guard("app.service"), &unit).join("\n");
    assert!(told.contains(endless), "{told}");
}
