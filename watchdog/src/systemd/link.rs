use tokio::{sync::watch, time::timeout};

use super::{Connection, Error, connection::PATIENCE};

/// A cheap handle to whichever connection stands now.
#[derive(Clone, Debug)]
pub struct Link(watch::Receiver<Option<Connection>>);

/// The other end: says which connection stands.
#[derive(Debug)]
pub struct Publisher(watch::Sender<Option<Connection>>);

/// A link and its other end.
pub fn link() -> (Publisher, Link) {
    let (publisher, link) = watch::channel(None);
    (Publisher(publisher), Link(link))
}

impl Link {
    /// The connection, waited for a few seconds while it is being opened again. `about` is named in the error.
    ///
    /// # Errors
    /// [`Error::NotConnected`].
    pub async fn connection(&self, about: &str) -> Result<Connection, Error> {
        let mut link = self.0.clone();
        let standing = timeout(PATIENCE, link.wait_for(Option::is_some)).await;
        let connection = standing.ok().and_then(Result::ok).and_then(|standing| standing.clone());
        connection.ok_or_else(|| Error::NotConnected { about: about.to_owned() })
    }
}

impl Publisher {
    /// From now on this connection stands, or none.
    pub fn publish(&self, connection: Option<Connection>) {
        self.0.send_replace(connection);
    }
}
