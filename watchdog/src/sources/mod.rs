//! Turns what the host says into signs.

pub mod ebpf;
pub mod logs;
pub mod memory_events;
pub mod pidfd;
pub mod proc_connector;
pub mod sock_diag;
pub mod units;
mod wait;
