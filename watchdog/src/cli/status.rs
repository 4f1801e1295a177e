use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use super::{Exit, Where, complain};
use crate::{
    config,
    control::{self, STATUS},
    explain,
    model::{Health, Status as Now},
};

/// `watchdog status`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Exit code, by the worst of these services:
  0   all are well
  1   of some nobody can say (yet)
  2   some are down and left alone: an operator's stop, a clean end, no such unit
  3   some are failing, and something is done about it or waits to be
  4   some are in quarantine: their restarts are used up
  64  a service that this watchdog does not know
  69  no watchdog runs, or it does not answer
  77  not allowed: only root and members of the group `watchdog` may ask")]
pub(super) struct Status {
    /// Only these services, by name or unit
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    #[command(flatten)]
    place: Where,
    /// The control socket [default: the one of the configuration]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) fn main(self) -> Exit {
        match self.look() {
            Ok(worst) => Exit::Health(worst),
            Err(exit) => exit,
        }
    }

    fn look(self) -> Result<Health, Exit> {
        let socket = self.socket()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|fault| failed(fault, Exit::System))?;
        let answer = runtime.block_on(control::get(&socket, STATUS)).map_err(|fault| {
            let exit = match &fault {
                control::Error::NotAllowed { .. } => Exit::NoPermission,
                control::Error::NotRunning { .. }
                | control::Error::NoAnswer { .. }
                | control::Error::InUse { .. }
                | control::Error::NoSocket { .. }
                | control::Error::Bind { .. } => Exit::Unavailable,
            };
            failed(fault, exit)
        })?;
        let mut now: Now = serde_json::from_slice(&answer).map_err(|fault| {
            failed(
                format_args!("cannot understand this watchdog, is it of another version? {fault}"),
                Exit::Unavailable,
            )
        })?;
        self.choose(&mut now)?;
        let worst = now.services.iter().map(|it| it.health).max().unwrap_or(Health::Well);
        let said = match self.json {
            true => serde_json::to_string_pretty(&now)
                .map_err(io::Error::from)
                .and_then(|json| writeln!(io::stdout(), "{json}")),
            false => {
                write!(io::stdout(), "{}", explain::status(&now, config::wants_colour(&io::stdout())))
            }
        };
        said.map_err(|fault| failed(format_args!("cannot write it: {fault}"), Exit::System))?;
        Ok(worst)
    }

    /// Who may not read the configuration asks where it is by default.
    fn socket(&self) -> Result<PathBuf, Exit> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        match config::load(self.place.config.as_deref()) {
            Ok(loaded) => Ok(loaded.settings.control_socket),
            Err(faults) if self.place.config.is_some() => {
                writeln!(io::stderr(), "{}", faults.render(config::wants_colour(&io::stderr()))).ok();
                Err(Exit::Configuration(faults.exit_code()))
            }
            Err(_) => Ok(config::DEFAULT_SOCKET.into()),
        }
    }

    /// Leaves those out that are not asked for.
    fn choose(&self, now: &mut Now) -> Result<(), Exit> {
        let is_asked = |name: &str| self.services.iter().any(|asked| asked == name);
        for asked in &self.services {
            if !now.services.iter().any(|it| it.service.as_str() == asked || it.unit.as_str() == asked) {
                let known: Vec<&str> = now.services.iter().map(|it| it.service.as_str()).collect();
                let known = known.join(", ");
                return Err(failed(
                    format_args!("there is no service {asked:?}: there are {known}"),
                    Exit::Usage,
                ));
            }
        }
        if !self.services.is_empty() {
            now.services.retain(|it| is_asked(it.service.as_str()) || is_asked(it.unit.as_str()));
        }
        Ok(())
    }
}

fn failed(why: impl std::fmt::Display, exit: Exit) -> Exit {
    complain(why);
    exit
}
