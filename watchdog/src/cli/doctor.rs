use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use super::{Exit, Where, complain, deadly, say, survey};
use crate::{
    config, control, engine,
    explain::{self, Facts, Granted, Running},
    look,
    model::{Serving, Source, Status, Unit},
    sources::{
        ebpf::{self, Refusal, Trial},
        memory_events, pidfd, proc_connector,
        sock_diag::{self, SockDiag},
        units,
    },
    systemd::Way,
};

/// Where the verifier's words go unasked.
const LOG: &str = "verifier.log";

/// `watchdog doctor`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "It loads the probes as `run` does, and takes them out again: nothing is changed, and a watchdog \
that runs is not disturbed. It is asked by what it sees failures itself: what this command may is not what its unit may.

Exit code:
  0   each class of failures is seen by the best that there is for it
  1   some are seen by less, here or by the watchdog that runs, or systemd is not reached: the report says why, and what to do
  77  not root: what root may do cannot be tried"
)]
pub(super) struct Doctor {
    #[command(flatten)]
    place: Where,
    /// Where the verifier's words on refused programs go [default: verifier.log in state_directory]
    #[arg(long, value_name = "PATH")]
    verifier_log: Option<PathBuf>,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) fn main(self) -> Exit {
        if !rustix::process::geteuid().is_root() {
            complain("not root: what root may do cannot be tried; try `sudo watchdog doctor`");
            return Exit::NoPermission;
        }
        let host = look::host();
        let Trial { loaded, refusals } = try_probes();
        let Asked { systemd, forgetful, units } = ask_systemd();
        let running = self.running();
        let sockets =
            SockDiag::open().and_then(|mut sockets| sockets.listeners()).err().map(|fault| fault.to_string());
        let rungs = rungs(&loaded, systemd.as_ref().err(), sockets.as_deref());
        let verifier_log = self.keep(&refusals);
        let probes = loaded.as_deref();
        let report = explain::doctor(Facts {
            host: &host,
            probes,
            systemd,
            sockets,
            forgetful,
            rungs,
            running,
            units,
            verifier_log,
        });
        let said = match self.json {
            true => say::json(&report),
            false => say::text(&report.to_string()),
        };
        said.err().unwrap_or(if report.is_best() { Exit::Ok } else { Exit::Different })
    }

    /// The watchdog that runs here, where one does.
    fn running(&self) -> Option<Running> {
        let socket = config::control_socket(self.place.config.as_deref())
            .unwrap_or_else(|_| config::DEFAULT_SOCKET.into());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let answer = match runtime.block_on(control::get(&socket, control::STATUS)) {
            Ok(answer) => answer,
            Err(control::Error::NotRunning { .. }) => return None,
            Err(fault) => {
                complain(format_args!("what the watchdog that runs sees by is not known: {fault}"));
                return None;
            }
        };
        let status: Status = match serde_json::from_slice(&answer) {
            Ok(status) => status,
            Err(fault) => {
                complain(format_args!(
                    "cannot understand the watchdog that runs, is it of another version? {fault}"
                ));
                return None;
            }
        };
        Some(Running { version: status.version, rungs: status.rungs })
    }

    /// Writes the verifier's words down, and says where; nowhere where it refused nothing.
    fn keep(&self, refusals: &[Refusal]) -> Option<PathBuf> {
        if refusals.is_empty() {
            return None;
        }
        let folder = || match config::load(self.place.config.as_deref()) {
            Ok(loaded) => loaded.settings.state_directory,
            Err(_) => Path::new(config::DEFAULT_STATE).to_owned(),
        };
        let path = self.verifier_log.clone().unwrap_or_else(|| folder().join(LOG));
        let mut text = String::new();
        for Refusal { program, words } in refusals {
            _ = write!(text, "── {program}\n{words}\n\n");
        }
        match fs::write(&path, text) {
            Ok(()) => Some(path),
            Err(fault) => {
                complain(format_args!(
                    "the verifier's words are not kept in {}: {fault} (see --verifier-log)",
                    path.display()
                ));
                None
            }
        }
    }
}

/// Whoever is killed for the call finds nothing out any more.
fn try_probes() -> Trial {
    match deadly::is_deadly(libc::SYS_bpf) {
        true => Trial { loaded: Err(ebpf::Error::forbidden(deadly::BPF)), refusals: Vec::new() },
        false => ebpf::trial(),
    }
}

/// By what each class would be seen: as the sources would say it.
fn rungs(
    probes: &Result<Vec<ebpf::Missing>, ebpf::Error>,
    systemd: Option<&String>,
    sockets: Option<&str>,
) -> Vec<Serving> {
    let by_probes = match probes {
        Ok(missing) => ebpf::serving(missing),
        Err(fault) => ebpf::serving_nothing(&fault.to_string()),
    };
    engine::rungs(&[
        (Source::Ebpf, by_probes),
        (Source::Units, units::serving(systemd.is_none(), systemd.map_or("", String::as_str))),
        (Source::SockDiag, sock_diag::serving(sockets.is_none(), sockets.unwrap_or_default())),
        (Source::ProcConnector, messages()),
        (Source::Pidfd, pidfd::offer()),
        (Source::Procfs, memory_events::offer()),
    ])
}

/// What the kernel's messages on processes would serve; nothing is said of them where they cannot be tried.
fn messages() -> Vec<Serving> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map(|runtime| runtime.block_on(proc_connector::offer())).unwrap_or_default()
}

/// What systemd says.
struct Asked {
    /// By which way it is reached, or why not.
    systemd: Result<Way, String>,
    /// Units of this program that keep no descriptors.
    forgetful: Vec<String>,
    /// What units of this program may.
    units: Vec<Granted>,
}

fn ask_systemd() -> Asked {
    let failed = |fault: String| Asked { systemd: Err(fault), forgetful: Vec::new(), units: Vec::new() };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(fault) => return failed(fault.to_string()),
    };
    runtime.block_on(async {
        let connection = match survey::connect().await {
            Ok(connection) => connection,
            Err(fault) => return failed(fault.to_string()),
        };
        let mut asked = Asked { systemd: Ok(connection.way()), forgetful: Vec::new(), units: Vec::new() };
        for name in ["watchdog.service", "service-watchdog.service"] {
            let Ok(unit) = name.parse::<Unit>() else { continue };
            // Debian's hardware watchdog has the same name
            let Ok((said, traits)) = connection.survey(&unit).await else { continue };
            let own = std::env::current_exe().ok();
            if own.is_none() || said.program.flatten() != own {
                continue;
            }
            if said.keeps == Some(0) {
                asked.forgetful.push(name.to_owned());
            }
            asked.units.push(explain::granted(&unit, &traits));
        }
        asked
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifiers_words_are_kept_whole_where_it_refused_something() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words");
        let doctor = Doctor { place: Where { config: None }, verifier_log: Some(path.clone()), json: false };
        assert_eq!(doctor.keep(&[]), None);
        assert!(!path.exists());
        let words = "0: R1=ctx()\n1: invalid access\nprocessed 2 insns".to_owned();
        assert_eq!(doctor.keep(&[Refusal { program: "exit", words: words.clone() }]), Some(path.clone()));
        assert_eq!(fs::read_to_string(path).unwrap(), format!("── exit\n{words}\n\n"));
    }
}
