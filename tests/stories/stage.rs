//! Where a story is played: a lab of its own with the programs under test, and the evidence when it goes wrong.

use std::{
    cell::RefCell,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use anyhow::{Context, Result};
use lab::{Lab, Plan, Stream};

/// A lab, and every watchdog that ran in it.
pub(crate) struct Stage {
    lab: Lab,
    streams: RefCell<Vec<Stream>>,
}

impl Deref for Stage {
    type Target = Lab;
    fn deref(&self) -> &Lab {
        &self.lab
    }
}

/// Boots a lab and plays a story in it; prints the evidence when it fails.
pub(crate) fn play(story: impl FnOnce(&Stage) -> Result<()>) -> Result<()> {
    let stage = Stage { lab: plan().boot()?, streams: RefCell::default() };
    let ended = catch_unwind(AssertUnwindSafe(|| story(&stage)));
    if !matches!(ended, Ok(Ok(()))) {
        evidence(&stage).context("cannot gather the evidence")?;
    }
    ended.unwrap_or_else(|panic| resume_unwind(panic))
}

/// What every lab of the tests is booted with.
pub(crate) fn plan() -> Plan {
    Plan::new(KEEPER)
        .with(env!("CARGO_BIN_EXE_victim"), "/usr/local/bin/victim")
        .with(env!("CARGO_BIN_EXE_systemd-puppet"), "/usr/local/bin/systemd-puppet")
        .with(env!("CARGO_BIN_EXE_watchdog-under-test"), lab::PROGRAM)
}

pub(crate) const KEEPER: &str = env!("CARGO_BIN_EXE_lab-keeper");

fn evidence(stage: &Stage) -> Result<()> {
    for stream in stage.streams.borrow().iter() {
        eprintln!("── events");
        stream.events().iter().for_each(|event| eprintln!("{}", event.0));
        stream.torn().iter().for_each(|line| eprintln!("no JSON: {line}"));
        eprintln!("── watchdog's log\n{}", stream.log());
    }
    eprintln!("── journal\n{}", stage.sh("journalctl --no-pager --output=short-precise --lines=80")?);
    Ok(())
}
