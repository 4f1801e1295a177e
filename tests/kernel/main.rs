//! The probes in the running kernel: real processes, sockets and signals in a cgroup and a network namespace of their own,
//! and what becomes of them as signs. Needs root. With `WATCHDOG_BPF_OBJECT=PATH` another object than the embedded one.
#![allow(clippy::print_stdout, reason = "the tests print what they measured")]

mod accept;
mod adopt;
mod answer;
mod canary;
mod classic;
mod commands;
mod ends;
mod listeners;
mod load;
mod sockets;
mod stage;
mod status;
mod storm;
mod use_and_loss;
