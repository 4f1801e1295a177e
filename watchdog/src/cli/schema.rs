use std::io;

use super::{Exit, ask::failed, say};
use crate::{config, model::Status, stream};

/// `watchdog schema`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Exit code:
  0   it was printed
  64  there is no schema of that
  71  it could not be written")]
pub(super) struct Schema {
    /// Of what
    #[arg(value_enum)]
    of: Of,
}

/// What has a schema.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Of {
    /// watchdog.toml and the files of conf.d, for editors and for programs that write them
    Config,
    /// One line of the event stream
    Events,
    /// What `status --json` and /v1/status say
    Status,
}

impl Schema {
    pub(super) fn main(self) -> Exit {
        match self.of.text() {
            Ok(text) => say::text(&text).err().unwrap_or(Exit::Ok),
            Err(fault) => failed(format_args!("cannot write it: {fault}"), Exit::System),
        }
    }
}

impl Of {
    /// The schema, as it is printed.
    pub(super) fn text(self) -> io::Result<String> {
        let schema = match self {
            Of::Config => config::schema(),
            Of::Events => stream::schema(),
            Of::Status => schemars::schema_for!(Status).to_value(),
        };
        Ok(serde_json::to_string_pretty(&schema)? + "\n")
    }
}
