use tokio::{sync::watch, time::timeout};

use super::{Connection, Error, connection::PATIENCE};
use crate::model::SystemState;

/// A cheap handle to whichever connection stands now.
#[derive(Clone, Debug)]
pub struct Link(watch::Receiver<Standing>);

/// The other end: says which connection stands, and what systemd says of itself over it.
#[derive(Debug)]
pub struct Publisher(watch::Sender<Standing>);

#[derive(Clone, Debug, Default)]
struct Standing {
    connection: Option<Connection>,
    /// systemd has said that it neither boots nor shuts down, and nothing of that kind since.
    runs: bool,
}

/// A link and its other end.
pub fn link() -> (Publisher, Link) {
    let (publisher, link) = watch::channel(Standing::default());
    (Publisher(publisher), Link(link))
}

impl Link {
    /// The connection, waited for a few seconds while it is being opened again. `about` is named in the error.
    ///
    /// # Errors
    /// [`Error::NotConnected`].
    pub async fn connection(&self, about: &str) -> Result<Connection, Error> {
        let mut link = self.0.clone();
        let standing = timeout(PATIENCE, link.wait_for(|standing| standing.connection.is_some())).await;
        let connection = standing.ok().and_then(Result::ok).and_then(|standing| standing.connection.clone());
        connection.ok_or_else(|| Error::NotConnected { about: about.to_owned() })
    }

    /// What systemd itself is doing: known at once while it runs on, else asked. While PID 1 cleans up after a unit, a
    /// question takes ten times as long as everything else that is looked up before an action.
    ///
    /// # Errors
    /// [`Error::NotConnected`], and all errors of a call.
    pub async fn system_state(&self) -> Result<SystemState, Error> {
        if self.0.borrow().runs {
            return Ok(SystemState::Running);
        }
        self.connection("its state").await?.system_state().await
    }
}

impl Publisher {
    /// From now on this connection stands, or none.
    pub fn publish(&self, connection: Option<Connection>) {
        self.0.send_replace(Standing { connection, runs: false });
    }

    /// Whether systemd is known to run on: neither to boot nor to shut down.
    pub fn runs(&self, runs: bool) {
        self.0.send_if_modified(|standing| std::mem::replace(&mut standing.runs, runs) != runs);
    }
}
