//! Writes the drop-ins that `check --fix` finds needed, and has systemd read them.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{Exit, complain, survey, write};
use crate::{
    config::Loaded,
    explain::{
        Known,
        fix::{self, DropIn, HEADER},
    },
    model::Unit,
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
    if !json {
        fixed.show();
    }
    if !dry {
        fixed.write(json);
    }
    if json {
        let said = serde_json::to_string_pretty(&fixed)
            .map_err(io::Error::from)
            .and_then(|json| writeln!(io::stdout(), "{json}"));
        if let Err(fault) = said {
            complain(format_args!("cannot write what was done: {fault}"));
            return Exit::System;
        }
    }
    if fixed.refused.is_empty() { Exit::Ok } else { Exit::CannotCreate }
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
        if let Some(text) = before.as_deref().filter(|text| !text.starts_with(HEADER) && !settings.is_empty())
        {
            let first = text.lines().next().unwrap_or("no text").to_owned();
            self.refused.push(format!(
                "{} is not of watchdog's making (it begins {first:?}), and is left alone: rename it, or say there what is wanted",
                path.display()
            ));
            return;
        }
        self.drop_ins.extend(fix::drop_in(unit, settings, before.as_deref()));
    }

    fn show(&self) {
        let mut out = io::stdout().lock();
        for DropIn { path, text, why, .. } in &self.drop_ins {
            writeln!(out, "{}", path.display()).ok();
            text.lines().for_each(|line| _ = writeln!(out, "    {line}").ok());
            why.iter().for_each(|why| _ = writeln!(out, "  because {why}").ok());
            writeln!(out).ok();
        }
        if self.drop_ins.is_empty() && self.refused.is_empty() {
            writeln!(out, "nothing to fix: no drop-in is needed that is not there").ok();
        }
        self.refused.iter().for_each(complain);
    }

    fn write(&mut self, quiet: bool) {
        let mut faults = Vec::new();
        for DropIn { path, text, .. } in &self.drop_ins {
            if let Err(fault) = write::over(path, text) {
                faults.push(fault.to_string());
            }
        }
        if self.drop_ins.is_empty() {
            return;
        }
        if let Err(fault) = reload() {
            faults.push(format!("{fault}; what was written is in force after `systemctl daemon-reload`"));
        }
        self.written = faults.is_empty();
        faults.iter().for_each(complain);
        self.refused.extend(faults);
        if self.written && !quiet {
            let paths: Vec<String> = self.drop_ins.iter().map(|it| it.path.display().to_string()).collect();
            let mut out = io::stdout().lock();
            writeln!(out, "written, and read by systemd; no unit was restarted for it").ok();
            writeln!(out, "to undo: rm {} && systemctl daemon-reload", paths.join(" ")).ok();
        }
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
}
