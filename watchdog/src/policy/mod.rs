//! Pure. What to do about one service and about the host: state machine, budgets, dependencies, intent.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod settings;

pub use settings::{Dependency, Gates, Guard, Host, Pulse, Settings};
