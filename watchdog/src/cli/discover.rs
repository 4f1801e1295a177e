use std::path::{Path, PathBuf};

use super::{Exit, complain, found, say, write};
use crate::{
    called::{by_name, called},
    config::{self, discover},
};

/// `watchdog discover`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Each unit that listens is asked as a heartbeat would ask it, over HTTP, then HTTPS, for a second at most; ports \
whose protocols are well known and are not HTTP are only connected to. Nothing is written unless --output says where.

Exit code:
  0   a configuration was written
  1   no unit listens here
  71  something that it needs was refused
  73  the file is there already, or cannot be made"
)]
pub(super) struct Discover {
    /// A new file for the configuration; one that is there already is never written over [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// As JSON, for programs: what was found, what was answered, and the configuration
    #[arg(long)]
    json: bool,
}

impl Discover {
    pub(super) fn main(self) -> Exit {
        let findings = match found::look() {
            Ok(findings) => findings,
            Err(fault) => {
                complain(fault);
                return Exit::System;
            }
        };
        let text = by_name(&discover::written(&findings)).into_owned();
        if !rustix::process::geteuid().is_root() {
            complain(format_args!("processes of other users: {}", found::UNSEEN));
        }
        let nothing = findings.units.is_empty();
        if nothing && !self.json {
            complain("no unit listens here: there is nothing to write");
            say::note(&text);
            return Exit::Different;
        }
        if let Some(path) = self.output.as_deref().filter(|_| !nothing) {
            if let Err(fault) = write::new(path, &text) {
                complain(fault);
                return Exit::CannotCreate;
            }
            complain(written(findings.units.len(), path));
        }
        let said = match (self.json, &self.output) {
            (true, _) => say::json(&serde_json::json!({ "found": findings, "configuration": text })),
            (false, Some(_)) => Ok(()),
            (false, None) => say::text(&text),
        };
        match said {
            Ok(()) if nothing => Exit::Different,
            Ok(()) => Exit::Ok,
            Err(exit) => exit,
        }
    }
}

/// What was done, and what comes next.
pub(super) fn written(services: usize, path: &Path) -> String {
    let usual = path == Path::new(config::DEFAULT_FOLDER).join("watchdog.toml");
    let place = if usual { String::new() } else { format!(" --config {}", path.display()) };
    let (s, name, path) = (if services == 1 { "" } else { "s" }, called(), path.display());
    format!(
        "{services} service{s} written to {path}; next: `{name} check{place}`, then `{name} run --observe{place}`, which acts on nothing"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_place_needs_no_argument_and_another_one_does() {
        let usual = written(1, Path::new("/etc/watchdog/watchdog.toml"));
        assert!(usual.starts_with("1 service written to /etc/watchdog/watchdog.toml; next: `"), "{usual}");
        assert!(!usual.contains("--config"), "{usual}");
        let other = written(2, Path::new("/tmp/a.toml"));
        assert!(
            other.contains("2 services") && other.contains("run --observe --config /tmp/a.toml`"),
            "{other}"
        );
    }
}
