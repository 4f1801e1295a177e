//! What the tests need of the project's tasks, too.

pub mod packages;
pub mod session;
