//! systemd's signals and properties of the watched units.
//!
//! Invariant: one task reads one connection from end to end, so that signs leave in the order in which systemd sent them,
//! and a read is answered after every sign that systemd sent before its reply: a job that an operator queued is known by the
//! time that a unit is read as down. After every new connection everything is read again, and the gap is told as a loss.
//! Deliberately absent: reactions to UnitNew and UnitRemoved (to read a unit that is not loaded makes systemd load and unload
//! it, and say so), and any polling.

mod kept;
mod ledger;
mod system;
mod task;
#[cfg(test)]
mod tests;

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    model::{Sign, Unit, UnitState},
    systemd::{self, Error, Link, Said, Sockets},
};
pub use task::serving;
use task::{Request, Task};

/// Readers that may wait for the task's ear.
const REQUESTS: usize = 64;

/// A unit out of everything that systemd said of it at one moment, for those who look once. Whether a socket of its listens,
/// only that socket's unit says.
pub fn picture(unit: &Unit, said: Said) -> UnitState {
    let mut kept = kept::Kept::blank(unit);
    kept.replace(said);
    kept.state
}

/// A handle to the task that owns the connection to systemd. The task ends when the last handle or the receiver of signs is gone.
#[derive(Clone, Debug)]
pub struct Units {
    requests: mpsc::Sender<Request>,
    link: Link,
}

impl Units {
    /// Starts the task, inside the current runtime; it must be watched: when it ends before its receiver, it has failed.
    ///
    /// Signs are sent with back pressure: who awaits [`Units::read`] must not be the one who receives them.
    pub fn start(units: Vec<Unit>, signs: mpsc::Sender<Sign>) -> (Units, JoinHandle<()>) {
        Units::start_at(Sockets::default(), units, signs)
    }

    /// The same, with systemd's sockets elsewhere.
    pub fn start_at(
        sockets: Sockets,
        units: Vec<Unit>,
        signs: mpsc::Sender<Sign>,
    ) -> (Units, JoinHandle<()>) {
        let (requests, inbox) = mpsc::channel(REQUESTS);
        let (publisher, link) = systemd::link();
        let task = tokio::spawn(Task::new(sockets, units, signs, inbox, publisher).run());
        (Units { requests, link }, task)
    }

    /// A unit, as systemd sees it now; answered after every sign that systemd sent before its reply. Waits at most 5 s,
    /// also for a connection.
    ///
    /// # Errors
    /// [`Error::NotConnected`], [`Error::NoReply`], [`Error::Refused`], [`Error::Malformed`].
    pub async fn read(&self, unit: &Unit) -> Result<UnitState, Error> {
        let gone = || Error::NotConnected { about: unit.to_string() };
        let (answer, answered) = oneshot::channel();
        let request = Request::Read { unit: unit.clone(), answer };
        self.requests.send(request).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// From now on these units are watched and no others. New ones are told as soon as they are read.
    pub async fn watch(&self, units: Vec<Unit>) {
        // Without a task there is nothing to watch with; reads say so.
        let _ = self.requests.send(Request::Watch(units)).await;
    }

    /// The connection, for those who give orders to systemd.
    pub fn link(&self) -> Link {
        self.link.clone()
    }
}
