use std::io::{self, ErrorKind, Write as _};

use super::{Exit, ask::failed};
use crate::{model::Status, stream};

/// `watchdog schema`.
#[derive(Debug, clap::Args)]
pub(super) struct Schema {
    /// Of what
    #[arg(value_enum)]
    of: Of,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Of {
    /// One line of the event stream
    Events,
    /// What `watchdog status --json` and /v1/status say
    Status,
}

impl Schema {
    pub(super) fn main(self) -> Exit {
        let schema = match self.of {
            Of::Events => stream::schema(),
            Of::Status => schemars::schema_for!(Status).to_value(),
        };
        let said = serde_json::to_string_pretty(&schema).map_err(io::Error::from);
        match said.and_then(|said| writeln!(io::stdout(), "{said}")) {
            Ok(()) => Exit::Ok,
            Err(fault) if fault.kind() == ErrorKind::BrokenPipe => Exit::Ok,
            Err(fault) => failed(format_args!("cannot write it: {fault}"), Exit::System),
        }
    }
}
