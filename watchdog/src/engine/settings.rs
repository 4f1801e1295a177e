use std::{collections::BTreeMap, path::PathBuf};

use crate::{heartbeat, model::Service, notify, policy, recorder, sources::logs, stream, suspicion};

/// Everything that a run of watchdog goes by; built by `config`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For the policy.
    pub policy: policy::Settings,
    /// For the suspicion room.
    pub suspicion: suspicion::Settings,
    /// The heartbeats of each service, in the order of the policy's.
    pub heartbeats: BTreeMap<Service, Vec<heartbeat::Settings>>,
    /// The logs that are followed.
    pub logs: logs::Settings,
    /// Who is told of what.
    pub notify: notify::Settings,
    /// For the evidence of incidents.
    pub recorder: recorder::Settings,
    /// For the stream.
    pub stream: stream::Settings,
    /// `state_directory`.
    pub state_directory: PathBuf,
    /// `control_socket`.
    pub control_socket: PathBuf,
    /// There is no configuration: these are what was found to listen, and nothing is done about it.
    pub discovered: bool,
}
