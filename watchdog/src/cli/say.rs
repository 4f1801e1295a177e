//! What commands write: to standard output for whoever asked, to standard error for whoever is to be warned.
//!
//! Invariant: a reader who has seen enough (`| head`) is no fault: what is left is not written, and the exit code is the one that
//! was found. Commands are named as this program was called; JSON is left as it is.

use std::io::{self, ErrorKind, Write as _};

use serde::Serialize;

use super::Exit;
use crate::{
    called::{by_name, called},
    config::{self, Faults},
};

/// Writes a text for people, as it stands, to standard output.
///
/// # Errors
/// Nothing can be written there; it is said.
pub(super) fn text(text: &str) -> Result<(), Exit> {
    as_it_is(&by_name(text))
}

/// Writes that as JSON to standard output.
///
/// # Errors
/// Nothing can be written there; it is said.
pub(super) fn json(what: &impl Serialize) -> Result<(), Exit> {
    match serde_json::to_string_pretty(what) {
        Ok(json) => as_it_is(&(json + "\n")),
        Err(fault) => Err(lost(&fault.into())),
    }
}

fn as_it_is(text: &str) -> Result<(), Exit> {
    let mut out = io::stdout().lock();
    seen(out.write_all(text.as_bytes()).and_then(|()| out.flush())).map_err(|fault| lost(&fault))
}

fn seen(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(fault) if fault.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn lost(fault: &io::Error) -> Exit {
    complain(format_args!("cannot write it: {fault}"));
    Exit::System
}

/// Says on standard error what stands against it.
pub(super) fn complain(what: impl std::fmt::Display) {
    note(&format!("{}: {what}\n", called()));
}

/// Says every fault of the configuration on standard error.
pub(super) fn faults(faults: &Faults) {
    note(&format!("{}\n", faults.render(config::wants_colour(&io::stderr()))));
}

/// Writes a text, as it stands, to standard error.
pub(super) fn note(text: &str) {
    io::stderr().write_all(by_name(text).as_bytes()).ok(); // there is nowhere else to say it
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_who_has_seen_enough_is_no_fault_and_a_full_disk_is_one() {
        assert!(seen(Err(ErrorKind::BrokenPipe.into())).is_ok());
        assert!(seen(Err(ErrorKind::StorageFull.into())).is_err());
    }
}
