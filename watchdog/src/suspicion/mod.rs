//! Pure. Whose process or socket was that, and is it worth a heartbeat? Merges what belongs together; quiets what was
//! answered alive.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod settings;

pub use settings::{Settings, Watched};
