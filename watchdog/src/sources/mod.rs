//! Turns what the host says into signs.

pub mod sock_diag;
