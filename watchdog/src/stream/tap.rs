//! Those who look on: each gets every record from now on, or is told how many it was too slow for.

use std::sync::Arc;

use tokio::sync::broadcast::{Receiver, Sender, error::RecvError};

use super::{Record, line::Stamp, lines};
use crate::{clock, model::Loss};

/// So many lines may wait for the slowest of them.
const LINES: usize = 512;

/// Where one begins to look on.
#[derive(Clone)]
pub struct Tap {
    lines: Sender<Arc<[u8]>>,
    stamp: Arc<Stamp>,
}

/// What one who looks on sees.
pub struct Lines {
    lines: Receiver<Arc<[u8]>>,
    stamp: Arc<Stamp>,
}

impl Tap {
    pub(super) fn new(stamp: Arc<Stamp>) -> Tap {
        Tap { lines: Sender::new(LINES), stamp }
    }

    /// Never waits: whoever is too slow loses the oldest lines, and is told so.
    pub(super) fn send(&self, line: &Arc<[u8]>) {
        if self.lines.receiver_count() > 0 {
            let _nobody_looks_on_any_more = self.lines.send(line.clone());
        }
    }

    /// Every line from now on.
    pub fn look_on(&self) -> Lines {
        Lines { lines: self.lines.subscribe(), stamp: self.stamp.clone() }
    }
}

impl Lines {
    /// The next line, with the newline that ends it; `None`: the stream is closed.
    pub async fn next(&mut self) -> Option<Arc<[u8]>> {
        match self.lines.recv().await {
            Ok(line) => Some(line),
            Err(RecvError::Closed) => None,
            Err(RecvError::Lagged(lost)) => {
                let loss = Loss { lost, place: "events: this reader is too slow".to_owned() };
                let line = self.stamp.line(&Record::loss(clock::now(), &loss));
                Some(lines::terminated(&line.to_json()).into())
            }
        }
    }
}
