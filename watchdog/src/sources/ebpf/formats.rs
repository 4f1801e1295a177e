//! Where the fields of classic tracepoints lie, as tracefs tells it.
//!
//! Invariant: any text never panics; what does not fit is left out.

use std::{fs, path::Path};

use super::missing::Program;

/// Where tracefs is mounted.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// One event, and the globals of the probes that want a field of it; those with `false` may be missing.
pub(super) struct Event {
    /// Its group and name.
    pub(super) category: &'static str,
    pub(super) name: &'static str,
    /// The program that wants it.
    pub(super) program: &'static str,
    fields: &'static [(&'static str, &'static str, bool)],
}

/// The event of a program's second rung, where it has one.
pub(super) fn event(program: Program) -> Option<Event> {
    match program {
        Program::Exit => Some(Event {
            category: "sched",
            name: "sched_process_exit",
            program: "exit_classic",
            fields: &[("EXIT_GROUP_DEAD", "group_dead", false)],
        }),
        Program::Signal => Some(Event {
            category: "signal",
            name: "signal_generate",
            program: "signal_classic",
            fields: &[
                ("SIGNAL_NUMBER", "sig", true),
                ("SIGNAL_CODE", "code", true),
                ("SIGNAL_PID", "pid", true),
                ("SIGNAL_RESULT", "result", true),
            ],
        }),
        Program::State => Some(Event {
            category: "sock",
            name: "inet_sock_set_state",
            program: "state_classic",
            fields: &[
                ("STATE_SOCKET", "skaddr", true),
                ("STATE_OLD", "oldstate", true),
                ("STATE_NEW", "newstate", true),
                ("STATE_PORT", "sport", true),
                ("STATE_PEER_PORT", "dport", true),
                ("STATE_PROTOCOL", "protocol", true),
            ],
        }),
        Program::Oom | Program::Command | Program::Seed | Program::Egress => None,
    }
}

/// Value of each global, 0 where it is not known; and why the event cannot be used, where it cannot.
pub(super) fn look_up(event: &Event) -> (Vec<(&'static str, u32)>, Option<String>) {
    let format = PLACES.iter().find_map(|place| {
        let folder = Path::new(place).join("events").join(event.category).join(event.name);
        fs::read_to_string(folder.join("format")).ok()
    });
    let Some(format) = format else {
        let why = format!("no {}:{} below {}", event.category, event.name, PLACES.join(" or "));
        return (event.fields.iter().map(|(global, ..)| (*global, 0)).collect(), Some(why));
    };
    let mut lacking = None;
    let globals = event.fields.iter().map(|(global, field, needed)| {
        let offset = offset(&format, field);
        if offset.is_none() && *needed {
            lacking = Some(format!("{}:{} has no {field}", event.category, event.name));
        }
        (*global, offset.unwrap_or(0))
    });
    (globals.collect(), lacking)
}

/// A line of a format says `field:pid_t pid;`, and after a tab `offset:24;`.
fn offset(format: &str, field: &str) -> Option<u32> {
    format.lines().find_map(|line| {
        let (declared, rest) = line.trim().strip_prefix("field:")?.split_once(';')?;
        let name = declared.rsplit(' ').next()?;
        let name = name.split('[').next()?;
        if name != field {
            return None;
        }
        rest.trim().strip_prefix("offset:")?.split(';').next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::offset;

    const FORMAT: &str = "name: sched_process_exit
ID: 369
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:char comm[16];	offset:8;	size:16;	signed:0;
	field:pid_t pid;	offset:24;	size:4;	signed:1;
	field:const void * skaddr;	offset:32;	size:8;	signed:0;

print fmt: \"comm=%s pid=%d\", REC->comm, REC->pid
";

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let found =
            ["pid", "comm", "skaddr", "common_pid", "prio", "", "id"].map(|field| offset(FORMAT, field));
        assert_eq!(found, [Some(24), Some(8), Some(32), Some(4), None, None, None]);
    }

    proptest! {
        #[test]
        fn any_text_never_panics(text: String, field: String) {
            let _ = (offset(&text, &field), offset(&format!("field:{text};offset:{field};"), &field));
        }
    }
}
