use std::{collections::HashMap, path::PathBuf};

use zbus::{Message, Variant};

use super::said::{Said, elements, text, u64_of};

/// What systemd says of a unit's settings that no decision needs, and an explanation does. Total and tolerant as [`Said`] is:
/// what is not said is as systemd's defaults have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traits {
    /// Type.
    pub kind: String,
    /// KillMode.
    pub kill_mode: String,
    /// SendSIGKILL.
    pub sends_sigkill: bool,
    /// RemainAfterExit: it stays active when its processes have ended cleanly.
    pub remains: bool,
    /// RefuseManualStart: only a dependency starts it.
    pub refuses_start: bool,
    /// RefuseManualStop: only a dependency stops it.
    pub refuses_stop: bool,
    /// NeedDaemonReload: its files are not those that systemd has read.
    pub outdated: bool,
    /// StartLimitAction.
    pub start_limit_action: String,
    /// FailureAction.
    pub failure_action: String,
    /// TriggeredBy: sockets, timers, paths that start it.
    pub triggered_by: Vec<String>,
    /// FragmentPath: its unit file.
    pub fragment: PathBuf,
    /// UnitFileState is `transient`: it is gone after its end.
    pub transient: bool,
    /// CapabilityBoundingSet.
    pub capabilities: u64,
    /// ProtectSystem.
    pub protect_system: String,
    /// ReadWritePaths.
    pub writable: Vec<String>,
    /// OOMScoreAdjust.
    pub oom_score_adjust: i32,
    /// FileDescriptorStoreMax.
    pub keeps: u32,
}

impl Default for Traits {
    fn default() -> Traits {
        let none = || "none".to_owned();
        Traits {
            kind: "simple".into(),
            kill_mode: "control-group".into(),
            sends_sigkill: true,
            remains: false,
            refuses_start: false,
            refuses_stop: false,
            outdated: false,
            start_limit_action: none(),
            failure_action: none(),
            triggered_by: Vec::new(),
            fragment: PathBuf::new(),
            transient: false,
            capabilities: u64::MAX,
            protect_system: "no".into(),
            writable: Vec::new(),
            oom_score_adjust: 0,
            keeps: 0,
        }
    }
}

impl Traits {
    fn of(properties: &HashMap<&str, Variant<'_>>) -> Traits {
        let mut traits = Traits::default();
        properties.iter().for_each(|(name, value)| traits.hear(name, value));
        traits
    }

    fn hear(&mut self, name: &str, value: &Variant<'_>) {
        match name {
            "Type" => put(&mut self.kind, text(value)),
            "KillMode" => put(&mut self.kill_mode, text(value)),
            "SendSIGKILL" => put(&mut self.sends_sigkill, flag(value)),
            "RemainAfterExit" => put(&mut self.remains, flag(value)),
            "RefuseManualStart" => put(&mut self.refuses_start, flag(value)),
            "RefuseManualStop" => put(&mut self.refuses_stop, flag(value)),
            "NeedDaemonReload" => put(&mut self.outdated, flag(value)),
            "StartLimitAction" => put(&mut self.start_limit_action, text(value)),
            "FailureAction" => put(&mut self.failure_action, text(value)),
            "TriggeredBy" => put(&mut self.triggered_by, texts(value)),
            "FragmentPath" => put(&mut self.fragment, text(value).map(PathBuf::from)),
            "UnitFileState" => put(&mut self.transient, text(value).map(|state| state == "transient")),
            "CapabilityBoundingSet" => put(&mut self.capabilities, u64_of(value)),
            "ProtectSystem" => put(&mut self.protect_system, text(value)),
            "ReadWritePaths" => put(&mut self.writable, texts(value)),
            "OOMScoreAdjust" => put(&mut self.oom_score_adjust, value.downcast_ref().ok()),
            "FileDescriptorStoreMax" => put(&mut self.keeps, value.downcast_ref().ok()),
            _ => {}
        }
    }
}

/// Both pictures out of one reply to GetAll.
pub(super) fn of_all(reply: &Message) -> zbus::Result<(Said, Traits)> {
    let body = reply.body();
    body.deserialize().map(|properties| (Said::of(&properties), Traits::of(&properties)))
}

fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn flag(value: &Variant<'_>) -> Option<bool> {
    value.downcast_ref().ok()
}

fn texts(value: &Variant<'_>) -> Option<Vec<String>> {
    elements(value).map(|items| items.filter_map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_says_is_taken_and_what_it_does_not_say_is_its_default() {
        let said = [
            ("KillMode", Variant::from("process")),
            ("RemainAfterExit", Variant::from(true)),
            ("SendSIGKILL", Variant::from("nonsense")),
            ("CapabilityBoundingSet", Variant::from(6_u64)),
            ("UnitFileState", Variant::from("transient")),
            ("NobodyKnowsThis", Variant::from(1_u8)),
        ];
        let wanted = Traits {
            kill_mode: "process".into(),
            remains: true,
            capabilities: 6,
            transient: true,
            ..Traits::default()
        };
        assert_eq!(Traits::of(&said.into_iter().collect()), wanted);
    }
}
