use serde::Serialize;
use tokio::sync::mpsc;

use super::{Exit, Where, complain, say};
use crate::{
    config,
    engine::SIGNS,
    explain,
    notify::{Prepared, Settings},
    sources::units::Units,
};

/// `watchdog notify`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Exit code:
  0   each channel has taken the test message, or none was asked for
  1   some have not; the reason is said
  64  nobody is to be told: there is no channel to test")]
pub(super) struct Notify {
    #[command(flatten)]
    place: Where,
    /// Send each channel a message that says that it is a test
    #[arg(long)]
    test: bool,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// One channel, and what became of its test.
#[derive(Debug, Serialize)]
struct Told {
    channel: String,
    told: bool,
    why: Option<String>,
}

impl Notify {
    pub(super) fn main(self) -> Exit {
        let settings = match config::load(self.place.config.as_deref()) {
            Ok(loaded) => loaded.settings.notify,
            Err(faults) => {
                say::faults(&faults);
                return Exit::Configuration(faults.exit_code());
            }
        };
        if !self.test {
            let lines = explain::telling(&settings);
            let said = match self.json {
                true => say::json(&lines),
                false => say::text(&lines.iter().map(|line| format!("{line}\n")).collect::<String>()),
            };
            return said.err().unwrap_or(Exit::Ok);
        }
        if settings.channels.is_empty() {
            complain("nobody is to be told: [watchdog.notify] has no exec, webhook or mail");
            return Exit::Usage;
        }
        let told = match test(settings) {
            Ok(told) => told,
            Err(exit) => return exit,
        };
        let said = match self.json {
            true => say::json(&told),
            false => say::text(&told.iter().map(line).collect::<String>()),
        };
        said.err().unwrap_or(if told.iter().all(|it| it.told) { Exit::Ok } else { Exit::Different })
    }
}

fn test(settings: Settings) -> Result<Vec<Told>, Exit> {
    let prepared = Prepared::new(settings).map_err(|fault| {
        complain(fault);
        Exit::Configuration(78)
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|fault| {
        complain(format_args!("cannot start: {fault}"));
        Exit::System
    })?;
    let told = runtime.block_on(async {
        let (signs, mut seen) = mpsc::channel(SIGNS);
        let (units, _task) = Units::start(Vec::new(), signs);
        tokio::spawn(async move { while seen.recv().await.is_some() {} });
        prepared.test(&units.link()).await
    });
    let told = told.into_iter().map(|(channel, ended)| {
        let why = ended.err().map(|fault| fault.to_string());
        Told { channel, told: why.is_none(), why }
    });
    runtime.shutdown_background(); // a look-up of a name cannot be called off
    Ok(told.collect())
}

fn line(told: &Told) -> String {
    match &told.why {
        None => format!("told      {}\n", told.channel),
        Some(why) => format!("NOT told  {}: {why}\n", told.channel),
    }
}
