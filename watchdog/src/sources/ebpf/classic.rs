//! The second rung: programs on classic tracepoints, for those of the first that this kernel cannot serve.
//!
//! Invariant: none is tried where the first rung serves, so that nothing is told twice. Deliberately absent: keeping them over
//! the death of this process; their links are no links of bpf(2) on every kernel.

use std::{fs, io, os::linux::fs::MetadataExt};

use aya::{
    Ebpf,
    programs::{ProgramError, TracePoint},
};

use super::{
    error::refusal,
    formats::{self, Event},
    load::PID_NAMESPACE,
    missing::{Missing, Program},
};

/// The number of the first PID namespace, which is the same on all kernels.
const FIRST_PID_NAMESPACE: u64 = 0xefff_fffc;

/// What the programs must be told before they are loaded.
pub(super) struct Classic {
    pub(super) words: Vec<(&'static str, u32)>,
    pub(super) longs: Vec<(&'static str, u64)>,
    events: Vec<(Program, Event, Option<String>)>,
}

/// Whether our PIDs are those that events of the kernel bear.
pub(super) fn first_pids() -> bool {
    fs::metadata(PID_NAMESPACE).is_ok_and(|namespace| namespace.st_ino() == FIRST_PID_NAMESPACE)
}

/// Looks up where the fields are.
pub(super) fn look_up() -> io::Result<Classic> {
    let namespace = fs::metadata(PID_NAMESPACE)?;
    let (major, minor) = (libc::major(namespace.st_dev()), libc::minor(namespace.st_dev()));
    let first = namespace.st_ino() == FIRST_PID_NAMESPACE;
    let mut words = vec![("FIRST_PIDS", u32::from(first))];
    // as the kernel itself puts a device's number together
    let device = u64::from(major) << 20 | u64::from(minor);
    let longs = vec![("PID_NAMESPACE_DEVICE", device), ("PID_NAMESPACE_INODE", namespace.st_ino())];
    let mut events = vec![];
    for program in Program::ALL {
        let Some(event) = formats::event(program) else { continue };
        let (globals, mut lacking) = formats::look_up(&event);
        words.extend(globals);
        if program == Program::Signal && !first {
            lacking =
                Some("watchdog is in a PID namespace of its own, whose numbers it does not bear".to_owned());
        }
        events.push((program, event, lacking));
    }
    Ok(Classic { words, longs, events })
}

impl Classic {
    /// Puts a program on the second rung in the place of each that is missing on the first.
    pub(super) fn stand_in(&self, bpf: &mut Ebpf, missing: &mut [Missing]) {
        for lacking in missing {
            let Some((_, event, why_not)) = self.events.iter().find(|(of, ..)| *of == lacking.program) else {
                continue;
            };
            let started = match why_not {
                Some(why) => Err(why.clone()),
                None => start(bpf, event).map_err(|fault| refusal(&fault)),
            };
            match started {
                Ok(()) => lacking.classic = true,
                Err(why) => lacking.why = format!("{}; nor by a classic tracepoint: {why}", lacking.why),
            }
        }
    }
}

fn start(bpf: &mut Ebpf, event: &Event) -> Result<(), ProgramError> {
    let program = bpf.program_mut(event.program).ok_or(ProgramError::NotLoaded)?;
    let probe: &mut TracePoint = program.try_into()?;
    probe.load()?;
    probe.attach(event.category, event.name).map(drop)
}
