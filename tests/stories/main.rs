//! The stories, one module each, on a real systemd with real servers and real probes in the kernel. `cargo xtask test` runs
//! them. What the system shows is judged first (the unit's state, its main process, what clients are answered, how often it
//! was started), then what watchdog tells.

mod stage;
mod systemd;
mod the_lab;
