//! `watchdog` keeps the services of a Linux host answering: see the README for what it does.
//!
//! Floors, from the ground: [`model`] (the words), [`called`], [`clock`], [`crash`] · [`suspicion`] and [`policy`] (pure) and [`systemd`] (the connection to
//! PID 1) · [`sources`], [`heartbeat`], [`actuator`], [`look`], [`notify`], [`recorder`], [`store`], [`stream`] (the edges) · [`engine`] (the one loop) · [`config`],
//! [`explain`] · [`cli`]. Imports point down only; rooms of one floor never import each other.

pub mod actuator;
pub mod called;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod crash;
pub mod engine;
pub mod explain;
pub mod heartbeat;
pub mod look;
pub mod model;
pub mod notify;
pub mod policy;
pub mod recorder;
pub mod sources;
pub mod store;
pub mod stream;
pub mod suspicion;
pub mod systemd;
