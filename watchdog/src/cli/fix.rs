//! Writes the drop-ins that `check --fix` finds needed, and has systemd read them.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{Exit, complain, say, survey, write};
use crate::{
    config::Loaded,
    explain::{
        Known,
        fix::{self, DropIn},
    },
    model::{Connect, Unit},
    policy::StalePidFile,
    stream::Sink,
};

/// capabilities(7).
const DAC_OVERRIDE: u32 = 1;
const DAC_READ_SEARCH: u32 = 2;

/// What was done about it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Fixed {
    drop_ins: Vec<DropIn>,
    /// Drop-ins at our place that are not ours, and why others could not be written.
    refused: Vec<String>,
    /// They are in force.
    written: bool,
}

/// Shows what is needed, and writes it where that is not to be left at showing.
pub(super) fn fix(
    loaded: &Loaded,
    units: &[(&Unit, &Known)],
    ourselves: Option<(&Unit, &Known)>,
    dry: bool,
    json: bool,
) -> Exit {
    if !dry && !rustix::process::geteuid().is_root() {
        complain(
            "not root: nobody else writes drop-ins; try `sudo watchdog check --fix`, or --dry-run to look",
        );
        return Exit::NoPermission;
    }
    let mut fixed = Fixed::default();
    let services = &loaded.settings.policy.services;
    for (unit, known) in units {
        let Some(guard) = services.values().find(|guard| guard.unit == **unit) else { continue };
        fixed.want(unit, &fix::for_unit(guard, known));
    }
    if let Some((unit, known)) = ourselves {
        fixed.want(unit, &own_settings(loaded, units, known));
    }
    let shown = if json { Ok(()) } else { fixed.show() };
    let undo = if dry { None } else { fixed.write() };
    let said = match (json, undo) {
        (true, _) => say::json(&fixed),
        (false, Some(undo)) => say::text(&undo),
        (false, None) => Ok(()),
    };
    let done = if fixed.refused.is_empty() { Exit::Ok } else { Exit::CannotCreate };
    shown.and(said).err().unwrap_or(done)
}

impl Fixed {
    /// Takes what one unit needs, unless its place is taken by a file that is not ours.
    fn want(&mut self, unit: &Unit, settings: &[fix::Setting]) {
        let path = fix::place(unit);
        let before = match fs::symlink_metadata(&path) {
            Err(_) => None,
            Ok(file) if file.is_file() => fs::read_to_string(&path).ok(),
            Ok(_) => Some(String::new()),
        };
        if let Some(text) = before.as_deref().filter(|text| !fix::is_ours(text) && !settings.is_empty()) {
            let first = text.lines().next().unwrap_or("no text").to_owned();
            self.refused.push(format!(
                "{} is not of watchdog's making (it begins {first:?}), and is left alone: rename it, or say there what is wanted",
                path.display()
            ));
            return;
        }
        self.drop_ins.extend(fix::drop_in(unit, settings, before.as_deref()));
    }

    fn show(&self) -> Result<(), Exit> {
        let mut said = String::new();
        for DropIn { path, text, why, .. } in &self.drop_ins {
            said += &format!("{}\n", path.display());
            said.extend(text.lines().map(|line| format!("    {line}\n")));
            said.extend(why.iter().map(|why| format!("  because {why}\n")));
            said.push('\n');
        }
        if self.drop_ins.is_empty() && self.refused.is_empty() {
            said += "nothing to fix: no drop-in is needed that is not there\n";
        }
        let shown = say::text(&said);
        self.refused.iter().for_each(complain);
        shown
    }

    /// What it has come to, and how it is taken back; nothing where it failed, which is said, or where there was nothing to do.
    fn write(&mut self) -> Option<String> {
        let mut faults = Vec::new();
        for DropIn { path, text, .. } in &self.drop_ins {
            if let Err(fault) = write::over(path, text) {
                faults.push(fault.to_string());
            }
        }
        if self.drop_ins.is_empty() {
            return None;
        }
        if let Err(fault) = reload() {
            faults.push(format!("{fault}; what was written is in force after `systemctl daemon-reload`"));
        }
        self.written = faults.is_empty();
        faults.iter().for_each(complain);
        self.refused.extend(faults);
        let paths: Vec<String> = self.drop_ins.iter().map(|it| fix::quoted(&it.path)).collect();
        let undo = format!("to undo: rm {} && systemctl daemon-reload\n", paths.join(" "));
        self.written.then(|| format!("written, and read by systemd; no unit was restarted for it\n{undo}"))
    }
}

fn reload() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|fault| fault.to_string())?;
    runtime.block_on(async {
        let connection = survey::connect().await.map_err(|fault| fault.to_string())?;
        connection.reload().await.map_err(|fault| fault.to_string())
    })
}

/// What watchdog's own unit needs for this configuration.
pub(super) fn own_settings(loaded: &Loaded, units: &[(&Unit, &Known)], known: &Known) -> Vec<fix::Setting> {
    let settings = &loaded.settings;
    let mut needed = Vec::new();
    let mut written: Vec<PathBuf> = vec![settings.state_directory.clone()];
    for log in settings.logs.values().flatten().filter(|log| !root_reads(&log.path)) {
        let why = format!("the log {} is another user's: without it root cannot read it", log.path.display());
        needed.push((DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", why));
    }
    let connects = settings.heartbeats.values().flatten().filter_map(|heartbeat| match &heartbeat.connect {
        Connect::Unix(path) => Some(path),
        Connect::Own | Connect::Address(_) | Connect::Dns => None,
    });
    for socket in connects.collect::<BTreeSet<_>>() {
        if !root_connects(socket) {
            let why = format!(
                "the socket {} is another user's: without it root cannot connect, and the heartbeat says nothing",
                socket.display()
            );
            needed.push((DAC_OVERRIDE, "CAP_DAC_OVERRIDE", why));
        }
    }
    for guard in
        settings.policy.services.values().filter(|guard| guard.stale_pid_file == StalePidFile::Remove)
    {
        let unit = units.iter().find(|(unit, _)| **unit == guard.unit);
        let path = guard.pid_file.as_ref().or_else(|| unit?.1.state.pid_file.as_ref());
        let Some(folder) = path.and_then(|path| path.parent()) else { continue };
        if !may(folder, 0o2) {
            let why =
                format!("{} is another user's: without it root removes no PID file there", folder.display());
            needed.push((DAC_OVERRIDE, "CAP_DAC_OVERRIDE", why));
        }
        written.push(folder.to_owned());
    }
    written.extend(settings.stream.sinks.iter().filter_map(|sink| match sink {
        Sink::File(path) => path.parent().map(Path::to_owned),
        Sink::Stdout | Sink::Journald | Sink::Kept(_) => None,
    }));
    fix::for_ourselves(known, &needed, &written)
}

/// Whether root reads this file without a capability that lets it read everything. One that is not there yet is not judged.
fn root_reads(path: &Path) -> bool {
    let folders = path.ancestors().skip(1).all(|folder| may(folder, 0o1));
    folders && may(path, 0o4)
}

/// Whether root connects to this socket without a capability that lets it: that is a write. One that is not there yet is not judged.
pub(super) fn root_connects(path: &Path) -> bool {
    let folders = path.ancestors().skip(1).all(|folder| may(folder, 0o1));
    folders && may(path, 0o2)
}

/// Whether the mode lets root do this (4 read, 2 write, 1 search), as it lets any other user.
fn may(path: &Path, what: u32) -> bool {
    let Ok(file) = path.metadata() else { return true };
    let mode = file.mode();
    let own = if file.uid() == 0 {
        mode >> 6
    } else if file.gid() == 0 {
        mode >> 3
    } else {
        mode
    };
    own & what != 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::{
        config,
        sources::units,
        systemd::{Said, Traits},
    };

    #[test]
    fn what_root_may_not_read_by_its_mode_needs_a_capability() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("access.log");
        fs::write(&log, "").expect("a file");
        let mode = |mode| fs::set_permissions(&log, fs::Permissions::from_mode(mode)).expect("a mode");
        // as whoever runs this: the owner's bits where that is root, all others' where it is not
        mode(0o644);
        assert!(may(&log, 0o4));
        mode(0o000);
        assert!(!may(&log, 0o4) && !root_reads(&log));
        assert!(may(Path::new("/no/such/file"), 0o4), "what is not there is not judged");
    }

    /// What watchdog's own unit lacks, in a unit that has no capability, for a service that is asked at this socket.
    fn lacks(socket: &Path) -> String {
        let text = format!(
            "[service.php]\nunit = \"php8.2-fpm.service\"\n\n[service.php.heartbeat]\nurl = \"tcp://localhost:1\"\nconnect = \"unix:{}\"\n",
            socket.display()
        );
        let loaded = config::of_text(Path::new("a test"), text).expect("a configuration");
        let unit: Unit = "watchdog.service".parse().expect("a unit");
        let state = units::picture(&unit, Said::default());
        let known = Known { state, traits: Traits { capabilities: 0, ..Traits::default() } };
        let settings = own_settings(&loaded, &[], &known);
        fix::lacking(&unit, &settings).into_iter().filter(|line| line.contains("CAP_")).collect()
    }

    #[test]
    fn a_socket_to_which_root_may_not_connect_by_its_mode_needs_a_capability_and_that_is_said_beforehand() {
        let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
        let socket = folder.path().join("php.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        let mode = |mode| fs::set_permissions(&socket, fs::Permissions::from_mode(mode)).expect("a mode");
        mode(0o666);
        assert_eq!(lacks(&socket), "");
        mode(0o444);
        let lacks = lacks(&socket);
        assert!(lacks.contains("CapabilityBoundingSet=CAP_DAC_OVERRIDE is missing: the socket"), "{lacks}");
        assert!(lacks.contains("php.sock is another user's"), "{lacks}");
    }
}
