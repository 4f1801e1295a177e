//! One check with a deadline; answers a verdict.
//!
//! Invariant: every heartbeat ends by its time-out, with the phase it came to. Deliberately absent: proxy variables,
//! redirects, cookies, keep-alive, TLS resumption, and DNS unless `connect = "dns"`.

mod settings;

pub use settings::{BasicAuth, Body, Settings, Target, Tls};
