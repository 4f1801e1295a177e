//! What the probes must be told about the running kernel: where members lie, by the name of the probe's global.

use super::{
    btf::{Btf, Parameter},
    missing::{Missing, Program},
};

/// One global of the probes.
struct Wanted {
    global: &'static str,
    structure: &'static str,
    member: &'static str,
    /// Bytes further: an element of an array.
    further: u32,
    users: &'static [Program],
}

const fn at(
    global: &'static str,
    structure: &'static str,
    member: &'static str,
    users: &'static [Program],
) -> Wanted {
    Wanted { global, structure, member, further: 0, users }
}

/// `signal_struct.pids[PIDTYPE_TGID]`
const TGID: u32 = 8;

const TASKS: &[Program] = &[Program::Exit, Program::Signal, Program::Oom, Program::Command, Program::State];
const PIDS: &[Program] = &[Program::Exit, Program::Signal, Program::Oom, Program::Command];
const SENDERS: &[Program] = &[Program::Signal, Program::Command];
const EXIT: &[Program] = &[Program::Exit];
const SIGNAL: &[Program] = &[Program::Signal];
const SOCKETS: &[Program] = &[Program::State, Program::Seed];
const STATE: &[Program] = &[Program::State];

const WANTED: &[Wanted] = &[
    at("TASK_CGROUPS", "task_struct", "cgroups", TASKS),
    at("CSS_SET_CGROUP", "css_set", "dfl_cgrp", TASKS),
    at("CGROUP_PARENT", "cgroup", "self.parent", TASKS),
    at("CGROUP_NODE", "cgroup", "kn", TASKS),
    at("NODE_ID", "kernfs_node", "id", TASKS),
    at("NODE_NAME", "kernfs_node", "name", SENDERS),
    at("TASK_SIGNAL", "task_struct", "signal", PIDS),
    at("TASK_LEADER", "task_struct", "group_leader", PIDS),
    at("TASK_COMM", "task_struct", "comm", PIDS),
    Wanted { global: "SIGNAL_TGID", structure: "signal_struct", member: "pids", further: TGID, users: PIDS },
    at("PID_LEVEL", "pid", "level", PIDS),
    at("PID_NUMBERS", "pid", "numbers", PIDS),
    at("UPID_NS", "upid", "ns", PIDS),
    at("PID_NS_INUM", "pid_namespace", "ns.inum", PIDS),
    at("TASK_START", "task_struct", "start_time", EXIT),
    at("TASK_EXIT_CODE", "task_struct", "exit_code", EXIT),
    at("SIGNAL_LIVE", "signal_struct", "live", EXIT),
    at("SIGNAL_FLAGS", "signal_struct", "flags", EXIT),
    at("SIGNAL_GROUP_EXIT_CODE", "signal_struct", "group_exit_code", EXIT),
    at("SIGINFO_CODE", "kernel_siginfo", "si_code", SIGNAL),
    at("SOCK_PORT", "sock_common", "skc_num", SOCKETS),
    at("SOCK_STATE", "sock_common", "skc_state", SOCKETS),
    at("SOCK_NET", "sock_common", "skc_net.net", SOCKETS),
    at("NET_INUM", "net", "ns.inum", SOCKETS),
    at("SOCK_PROTOCOL", "sock", "sk_protocol", SOCKETS),
    at("SOCK_PEER_PORT", "sock_common", "skc_dport", STATE),
    at("SOCK_COOKIE", "sock_common", "skc_cookie", STATE),
    at("SOCK_SOCKET", "sock", "sk_socket", STATE),
    at("SOCK_BACKLOG", "sock", "sk_ack_backlog", STATE),
    at("LISTENER_HEAD", "inet_connection_sock", "icsk_accept_queue.rskq_accept_head", STATE),
    at("REQUEST_SOCK", "request_sock", "sk", STATE),
    at("TCP_LAST_SENT", "tcp_sock", "lsndtime", STATE),
    at("TCP_LAST_RECEIVED", "inet_connection_sock", "icsk_ack.lrcvtime", STATE),
    at("TCP_BYTES_RECEIVED", "tcp_sock", "bytes_received", STATE),
    at("TCP_BYTES_SENT", "tcp_sock", "bytes_sent", STATE),
    at("TCP_RECEIVED_NEXT", "tcp_sock", "rcv_nxt", STATE),
    at("TCP_COPIED", "tcp_sock", "copied_seq", STATE),
    at("TCP_WRITTEN", "tcp_sock", "write_seq", STATE),
    at("TCP_SENT_NEXT", "tcp_sock", "snd_nxt", STATE),
];

/// What was looked up.
pub(super) struct Offsets {
    /// Value of each global; 0 where only programs that are left out want it.
    pub(super) globals: Vec<(&'static str, u32)>,
    /// The programs that this kernel cannot serve, each once.
    pub(super) missing: Vec<Missing>,
}

/// Looks everything up.
pub(super) fn look_up(btf: &Btf<'_>) -> Offsets {
    let mut missing: Vec<Missing> = vec![];
    let mut lacks = |program: Program, what: String| {
        if !missing.iter().any(|known| known.program == program) {
            missing.push(Missing::new(program, format!("this kernel has no {what}")));
        }
    };
    let mut globals = vec![];
    for wanted in WANTED {
        let offset = btf.offset(wanted.structure, wanted.member);
        if offset.is_none() {
            for user in wanted.users {
                lacks(*user, format!("{}.{}", wanted.structure, wanted.member));
            }
        }
        globals.push((wanted.global, offset.map_or(0, |offset| offset + wanted.further)));
    }
    let upid = btf.size("upid");
    if upid.is_none() {
        for user in PIDS {
            lacks(*user, "upid".to_owned());
        }
    }
    globals.push(("UPID_SIZE", upid.unwrap_or(0)));
    for program in Program::ALL {
        let Some((tracepoint, wanted)) = hook(program) else { continue };
        let found = btf.parameters(tracepoint);
        if !found.is_some_and(|found| found.starts_with(wanted)) {
            lacks(program, format!("tracepoint {tracepoint} with the parameters that we know"));
        }
    }
    Offsets { globals, missing }
}

/// Nothing, for this reason.
pub(super) fn nothing(why: &str) -> Offsets {
    let globals = WANTED.iter().map(|wanted| wanted.global).chain(["UPID_SIZE"]);
    let missing = Program::ALL.into_iter().map(|program| Missing::new(program, why.to_owned()));
    Offsets { globals: globals.map(|global| (global, 0)).collect(), missing: missing.collect() }
}

/// The tracepoint of a program, and what it hands over at least.
pub(super) fn hook(program: Program) -> Option<(&'static str, &'static [Parameter])> {
    use Parameter::{Number, Pointer};
    match program {
        Program::Exit => Some(("sched_process_exit", &[Pointer])),
        Program::Signal => Some(("signal_generate", &[Number, Pointer, Pointer, Number, Number])),
        Program::Oom => Some(("mark_victim", &[Pointer])),
        Program::Command => Some(("sched_process_exec", &[Pointer])),
        Program::State => Some(("inet_sock_set_state", &[Pointer, Number, Number])),
        Program::Seed | Program::Egress => None,
    }
}
