//! The terminal session in the README: what stands there is what a host shows.

use anyhow::Result;
use xtask::session;

use crate::stage::play;

#[test]
fn the_session_in_the_readme_is_what_a_host_shows() -> Result<()> {
    play(|lab| session::compare(&session::play(lab)?, &session::in_readme()?))
}
