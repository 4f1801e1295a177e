//! Writes records as JSON Lines to sinks that never block.

mod settings;

pub use settings::{Settings, Sink};
