//! The one writer: takes what waits in one transaction, and says how far it has come.

use std::{sync::mpsc, thread};

use rusqlite::Connection;
use tokio::sync::watch;

use super::{
    Error, KeptPause, Store, Stored, WAITING,
    file::{forget_pause, write_input, write_pause, write_pauses, write_state},
};
use crate::model::{Mono, Service};

/// SQLite wants more than a thread that copies bytes.
const STACK: usize = 512 * 1024;
/// So much in one transaction: those who wait for the first must not wait for all.
const AT_ONCE: usize = 64;

/// Something to be stored.
#[derive(Debug)]
pub(super) enum Message {
    Input { number: u64, taken: Mono, text: String },
    State { number: u64, boot: String, text: String, pauses: Vec<KeptPause> },
    Pause { number: u64, pause: KeptPause },
    Resume { number: u64, service: Service },
}

impl Message {
    fn number(&self) -> u64 {
        match self {
            Message::Input { number, .. }
            | Message::State { number, .. }
            | Message::Pause { number, .. }
            | Message::Resume { number, .. } => *number,
        }
    }
}

pub(super) fn start(connection: Connection) -> Result<Store, Error> {
    let (messages, waiting) = mpsc::sync_channel(WAITING);
    let (tell, stored) = watch::channel(Stored::default());
    let (alive, ended) = mpsc::channel::<()>();
    let write = move || {
        let _alive = alive;
        Writer { connection, sum: None }.run(&waiting, &tell);
    };
    thread::Builder::new().name("store".into()).stack_size(STACK).spawn(write).map_err(Error::Thread)?;
    Ok(Store { messages, stored, ended, last: 0 })
}

struct Writer {
    connection: Connection,
    /// The sum of the last row; `None`: an input was not stored, or there is no state, and inputs wait for the next state.
    sum: Option<i64>,
}

impl Writer {
    fn run(&mut self, waiting: &mpsc::Receiver<Message>, tell: &watch::Sender<Stored>) {
        while let Ok(first) = waiting.recv() {
            let batch: Vec<Message> =
                std::iter::once(first).chain(waiting.try_iter().take(AT_ONCE)).collect();
            let number = batch.last().map_or(0, Message::number);
            let states = batch.iter().any(|message| matches!(message, Message::State { .. }));
            let written = self.write(&batch);
            let fault = match written {
                Ok(_) if self.sum.is_some() => None,
                // what was lost with an earlier batch is lost still, though nothing of this one is
                Ok(whole) => {
                    tell.borrow().fault.clone().or_else(|| (!whole).then(|| "a state is missing".to_owned()))
                }
                Err(fault) => {
                    self.sum = None;
                    self.connection.execute_batch("ROLLBACK").ok(); // where there is something to roll back
                    Some(fault.to_string())
                }
            };
            let well = fault.is_none();
            tell.send_replace(Stored { number, fault });
            if states && well {
                // the disk may take its time now; what comes meanwhile waits no longer than its own patience
                self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).ok();
            }
        }
    }

    /// False: an input had no place.
    fn write(&mut self, batch: &[Message]) -> rusqlite::Result<bool> {
        let (mut sum, mut whole) = (self.sum, true);
        let transaction = self.connection.unchecked_transaction()?;
        for message in batch {
            match message {
                Message::Input { taken, text, .. } => match sum {
                    Some(before) => sum = Some(write_input(&transaction, before, *taken, text)?),
                    None => whole = false,
                },
                Message::State { boot, text, pauses, .. } => {
                    sum = Some(write_state(&transaction, boot, text)?);
                    write_pauses(&transaction, pauses)?;
                    whole = true;
                }
                Message::Pause { pause, .. } => write_pause(&transaction, pause)?,
                Message::Resume { service, .. } => forget_pause(&transaction, service)?,
            }
        }
        transaction.commit()?;
        self.sum = sum;
        Ok(whole)
    }
}
