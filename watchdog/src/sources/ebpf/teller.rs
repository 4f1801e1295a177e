//! Hands signs on without ever waiting: what does not fit is counted, and the count is told as soon as there is room.

use tokio::sync::mpsc;

use super::{Error, decode};
use crate::{
    clock,
    model::{Loss, Saw, Sign, Source},
};

/// The way out.
pub(super) struct Teller {
    signs: mpsc::Sender<Sign>,
    /// What the kernel had lost when we last asked.
    counted: u64,
    /// Lost in the kernel, and not told yet.
    ring: u64,
    /// Lost on the way out, and not told yet.
    channel: u64,
    /// Told next time there is room, the last word only.
    working: Option<Sign>,
    /// Why it does not work; empty while it does.
    why: String,
}

impl Teller {
    /// Counts from the load on: what was lost before anyone listened is told too.
    pub(super) fn new(signs: mpsc::Sender<Sign>) -> Teller {
        Teller { signs, counted: 0, ring: 0, channel: 0, working: None, why: String::new() }
    }

    /// A record came.
    pub(super) fn record(&mut self, bytes: &[u8]) {
        // What cannot be read was something all the same.
        let taken = decode::sign(bytes)
            .is_some_and(|sign| self.lost_so_far() == 0 && self.signs.try_send(sign).is_ok());
        if !taken {
            self.channel += 1;
        }
    }

    /// The kernel has lost so many by now.
    pub(super) fn lost(&mut self, now: u64) {
        self.ring += now.saturating_sub(self.counted);
        self.counted = now;
    }

    /// The filters in the kernel were changed, or could not be.
    pub(super) fn works(&mut self, done: Result<(), Error>) {
        let why = done.err().map_or_else(String::new, |error| chain(&error));
        if why == self.why {
            return;
        }
        if !why.is_empty() {
            tracing::warn!(why, "the probes do not watch everything");
        }
        self.why.clone_from(&why);
        self.working = Some(sign(Saw::Working { works: why.is_empty(), why }));
    }

    fn lost_so_far(&self) -> u64 {
        self.ring + self.channel
    }

    /// Something waits for room.
    pub(super) fn owes(&self) -> bool {
        self.lost_so_far() > 0 || self.working.is_some()
    }

    /// Waits for room and tells what is owed; `false` when nobody listens any more. May be dropped at any await.
    pub(super) async fn room(&mut self) -> bool {
        let Ok(room) = self.signs.reserve().await else { return false };
        let lost = self.lost_so_far();
        if lost > 0 {
            let place = match (self.ring > 0, self.channel > 0) {
                (true, true) => "ring buffer and channel of the probes",
                (true, false) => "ring buffer of the probes",
                (false, _) => "channel of the probes",
            };
            room.send(sign(Saw::Loss(Loss { lost, place: place.to_owned() })));
            (self.ring, self.channel) = (0, 0);
        } else if let Some(working) = self.working.take() {
            room.send(working);
        }
        true
    }
}

fn sign(saw: Saw) -> Sign {
    Sign { at: clock::now(), source: Source::Ebpf, saw }
}

/// An error with all its reasons.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut at = std::error::Error::source(error);
    while let Some(reason) = at {
        text = format!("{text}: {reason}");
        at = reason.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use tokio::sync::mpsc;
    use watchdog_common::{Kind, RECORD_SIZE};

    use super::Teller;
    use crate::model::Sign;

    fn in_use(port: u32) -> Vec<u8> {
        let mut bytes = vec![0; RECORD_SIZE];
        bytes[32..36].copy_from_slice(&(Kind::InUse as u32).to_ne_bytes());
        bytes[44..48].copy_from_slice(&port.to_ne_bytes());
        bytes
    }

    /// Feeds records to a channel that holds two signs, then takes what comes out.
    fn check(records: u32, lost_in_kernel: u64, expected: Expect) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let text = runtime.block_on(async {
            let (sender, mut signs) = mpsc::channel(2);
            let mut teller = Teller::new(sender);
            (1..=records).for_each(|port| teller.record(&in_use(port)));
            teller.lost(lost_in_kernel);
            let mut text = String::new();
            let mut take = |sign: Sign| text += &format!("{:?}\n", sign.saw);
            while let Ok(sign) = signs.try_recv() {
                take(sign);
            }
            while teller.owes() && teller.room().await {
                take(signs.recv().await.unwrap());
            }
            teller.record(&in_use(9));
            take(signs.recv().await.unwrap());
            text
        });
        expected.assert_eq(&text);
    }

    #[test]
    fn signs_that_find_no_room_are_told_as_a_loss() {
        check(
            5,
            0,
            expect![[r#"
                InUse(Port(1))
                InUse(Port(2))
                Loss(Loss { lost: 3, place: "channel of the probes" })
                InUse(Port(9))
            "#]],
        );
    }

    #[test]
    fn what_the_kernel_lost_is_told_once() {
        check(
            1,
            7,
            expect![[r#"
                InUse(Port(1))
                Loss(Loss { lost: 7, place: "ring buffer of the probes" })
                InUse(Port(9))
            "#]],
        );
    }

    #[test]
    fn both_losses_are_told_together() {
        check(
            3,
            7,
            expect![[r#"
                InUse(Port(1))
                InUse(Port(2))
                Loss(Loss { lost: 8, place: "ring buffer and channel of the probes" })
                InUse(Port(9))
            "#]],
        );
    }
}
