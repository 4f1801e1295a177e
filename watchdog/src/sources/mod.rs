//! Turns what the host says into signs.

pub mod ebpf;
pub mod sock_diag;
pub mod units;
