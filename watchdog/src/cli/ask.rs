//! What all commands share that speak to a running watchdog.

use std::path::PathBuf;

use serde::{Serialize, de::DeserializeOwned};

use super::{Exit, Where, complain, say};
use crate::{config, control};

/// Where the running watchdog is.
#[derive(Debug, clap::Args)]
pub(super) struct There {
    #[command(flatten)]
    place: Where,
    /// The control socket [default: the one of the configuration]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// As JSON, for programs
    #[arg(long)]
    pub(super) json: bool,
}

impl There {
    /// What is true there.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Exit> {
        let socket = self.socket()?;
        let answer = runtime()?.block_on(control::get(&socket, path)).map_err(no)?;
        understood(&answer)
    }

    /// What becomes of that.
    pub(super) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Exit> {
        let socket = self.socket()?;
        let body = serde_json::to_string(body).map_err(|fault| failed(fault, Exit::Software))?;
        let answer = runtime()?.block_on(control::post(&socket, path, body)).map_err(no)?;
        understood(&answer)
    }

    /// Writes it as JSON where that is wanted, and else as text.
    pub(super) fn say(&self, word: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Exit> {
        match self.json {
            true => say::json(word),
            false => say::text(&text()),
        }
    }

    /// The configuration, which must have no fault.
    pub(super) fn configuration(&self) -> Result<config::Loaded, Exit> {
        config::load(self.place.config.as_deref()).map_err(|faults| {
            say::faults(&faults);
            Exit::Configuration(faults.exit_code())
        })
    }

    /// Who may not read the configuration asks where it is by default.
    pub(super) fn socket(&self) -> Result<PathBuf, Exit> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        config::control_socket(self.place.config.as_deref()).map_err(|faults| {
            say::faults(&faults);
            Exit::Configuration(faults.exit_code())
        })
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|fault| failed(fault, Exit::System))
}

fn understood<T: DeserializeOwned>(answer: &[u8]) -> Result<T, Exit> {
    serde_json::from_slice(answer).map_err(|fault| {
        failed(
            format_args!("cannot understand this watchdog, is it of another version? {fault}"),
            Exit::Unavailable,
        )
    })
}

pub(super) fn no(fault: control::Error) -> Exit {
    let exit = match &fault {
        control::Error::NotAllowed { .. } | control::Error::Refused { status: 403, .. } => Exit::NoPermission,
        control::Error::Refused { status: 422, .. } => Exit::Configuration(78),
        control::Error::Refused { status: 400..=499, .. } => Exit::Usage,
        control::Error::Refused { .. }
        | control::Error::NotRunning { .. }
        | control::Error::NoAnswer { .. }
        | control::Error::InUse { .. }
        | control::Error::NoSocket { .. }
        | control::Error::Bind { .. } => Exit::Unavailable,
    };
    failed(fault, exit)
}

pub(super) fn failed(why: impl std::fmt::Display, exit: Exit) -> Exit {
    complain(why);
    exit
}
