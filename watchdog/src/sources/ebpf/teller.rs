//! Hands signs on without ever waiting: what does not fit is counted, and the count is told as soon as there is room.
//!
//! A loss has everything looked at again: where it goes on, it is told every [`PACE`] and no more often. Signs that find room
//! meanwhile are told, for a loss that is told after them covers what was before them too.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use watchdog_common::{KINDS, Record};

use super::{Error, decode, missing::Program, serving::serving_answers, whose::Whose};
use crate::{
    clock,
    model::{CgroupId, Loss, Saw, Serving, Sign, Source},
};

/// Between one loss told and the next.
const PACE: Duration = Duration::from_millis(100);

/// The way out.
pub(super) struct Teller {
    signs: mpsc::Sender<Sign>,
    /// What the kernel had lost when we last asked.
    counted: [u64; KINDS],
    /// Lost in the kernel, and not told yet.
    ring: Gap,
    /// Lost on the way out, and not told yet.
    channel: Gap,
    /// The next loss is told no sooner.
    loss_after: Instant,
    /// Told next time there is room, the last word only.
    working: Option<Sign>,
    /// By what these classes are seen now, the last word on each.
    serving: Vec<Serving>,
    /// Why it does not work; empty while it does.
    why: String,
    unread: String,
    /// Why not everything is watched, and which programs do not speak: both are a part of that.
    unwatched: String,
    deaf: String,
    /// What was not seen by a program, and is not told yet: how many runs, and where.
    unseen: (u64, Vec<String>),
    whose: Whose,
}

/// How many records of each kind are missing, by its number; 0 is no kind.
#[derive(Default)]
struct Gap([u64; KINDS]);

impl Gap {
    fn all(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Where, and how many of what: nothing where nothing is missing.
    fn said(&self, place: &str) -> Option<String> {
        let missing = self.0.iter().zip(0..).filter(|(lost, _)| **lost > 0);
        let each: Vec<String> =
            missing.map(|(lost, kind)| format!("{lost} of {}", decode::name(kind))).collect();
        (!each.is_empty()).then(|| format!("{place} of the probes: {}", each.join(", ")))
    }
}

impl Teller {
    /// Counts from the load on: what was lost before anyone listened is told too.
    pub(super) fn new(signs: mpsc::Sender<Sign>) -> Teller {
        Teller {
            signs,
            counted: [0; KINDS],
            ring: Gap::default(),
            channel: Gap::default(),
            loss_after: Instant::now(),
            working: None,
            serving: vec![],
            why: String::new(),
            unread: String::new(),
            unwatched: String::new(),
            deaf: String::new(),
            unseen: (0, vec![]),
            whose: Whose::default(),
        }
    }

    /// A record came. `noted` is what a probe has noted of a cgroup.
    pub(super) fn record(&mut self, bytes: &[u8], noted: impl Fn(CgroupId) -> Option<String>) {
        // What cannot be read was something all the same.
        let taken = decode::sign(bytes).is_some_and(|mut sign| {
            self.whose.name(&mut sign, noted);
            self.signs.try_send(sign).is_ok()
        });
        if !taken {
            let kind = Record::from_bytes(bytes).map_or(0, |record| record.kind as usize);
            self.channel.0[if kind < KINDS { kind } else { 0 }] += 1;
        }
    }

    /// The kernel has lost so many of each kind by now.
    pub(super) fn lost(&mut self, now: [u64; KINDS]) {
        let counted = self.counted.iter_mut().zip(now);
        for (gap, (counted, now)) in self.ring.0.iter_mut().zip(counted) {
            *gap += now.saturating_sub(*counted);
            *counted = now;
        }
    }

    /// The filters in the kernel were changed, or could not be.
    pub(super) fn works(&mut self, done: Result<(), Error>) {
        let unread = match &done {
            Err(fault @ (Error::Egress { .. } | Error::NoMount { .. })) => fault.chain(),
            Ok(()) | Err(_) => String::new(),
        };
        // one class is seen by less, which its rung says: everything else works
        self.unwatched = match &done {
            Err(fault) if unread.is_empty() => fault.chain(),
            Ok(()) | Err(_) => String::new(),
        };
        if unread != self.unread {
            if !unread.is_empty() {
                tracing::info!(why = unread, "errors are not seen as they leave");
            }
            self.serves(vec![serving_answers(&unread)]);
            self.unread = unread;
        }
        self.say_why();
    }

    /// These programs do not speak now.
    pub(super) fn deaf(&mut self, programs: &[Program]) {
        self.deaf = match programs {
            [] => String::new(),
            [one] => format!("the probe {} is deaf", one.name()),
            several => {
                let names: Vec<&str> = several.iter().map(|program| program.name()).collect();
                format!("the probes {} are deaf", names.join(", "))
            }
        };
        self.say_why();
    }

    /// By what each class of failures is seen now.
    pub(super) fn serves(&mut self, serving: Vec<Serving>) {
        self.serving.retain(|before| !serving.iter().any(|now| now.class == before.class));
        self.serving.extend(serving);
    }

    /// A program has not seen so many things, or has seen none for a while.
    pub(super) fn unseen(&mut self, times: u64, place: String) {
        self.unseen.0 += times;
        self.unseen.1.push(place);
    }

    fn say_why(&mut self) {
        let parts = [self.deaf.as_str(), self.unwatched.as_str()];
        let why = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
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
        self.ring.all() + self.channel.all() + self.unseen.0
    }

    fn has_gap(&self) -> bool {
        self.lost_so_far() > 0 || !self.unseen.1.is_empty()
    }

    /// Something waits for room.
    pub(super) fn owes(&self) -> bool {
        self.has_gap() || self.owes_a_word()
    }

    /// A word waits that a later one would take the place of.
    pub(super) fn owes_a_word(&self) -> bool {
        self.working.is_some() || !self.serving.is_empty()
    }

    /// Waits for room and tells what is owed; `false` when nobody listens any more. May be dropped at any await.
    pub(super) async fn room(&mut self) -> bool {
        if !self.owes_a_word() {
            sleep_until(self.loss_after).await;
        }
        let Ok(room) = self.signs.reserve().await else { return false };
        if self.has_gap() && Instant::now() >= self.loss_after {
            let lost = self.lost_so_far();
            let said = [self.ring.said("ring buffer"), self.channel.said("channel")];
            let (_, unseen) = std::mem::take(&mut self.unseen);
            let place = said.into_iter().flatten().chain(unseen).collect::<Vec<_>>().join("; ");
            room.send(sign(Saw::Loss(Loss { lost, place })));
            (self.ring, self.channel) = (Gap::default(), Gap::default());
            self.loss_after = Instant::now() + PACE;
        } else if let Some(working) = self.working.take() {
            room.send(working);
        } else if !self.serving.is_empty() {
            room.send(sign(Saw::Serving(std::mem::take(&mut self.serving))));
        }
        true
    }
}

fn sign(saw: Saw) -> Sign {
    Sign { at: clock::now(), source: Source::Ebpf, saw }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use tokio::sync::mpsc;
    use watchdog_common::{KINDS, Kind, RECORD_SIZE};

    use super::{PACE, Teller};
    use crate::model::Sign;

    fn record(kind: u32, port: u32) -> Vec<u8> {
        let mut bytes = vec![0; RECORD_SIZE];
        bytes[32..36].copy_from_slice(&kind.to_ne_bytes());
        bytes[44..48].copy_from_slice(&port.to_ne_bytes());
        bytes
    }

    fn in_use(port: u32) -> Vec<u8> {
        record(Kind::InUse as u32, port)
    }

    /// Feeds records to a channel that holds two signs, then takes what comes out.
    fn check(records: &[Vec<u8>], lost_in_kernel: &[(Kind, u64)], expected: Expect) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let text = runtime.block_on(async {
            let (sender, mut signs) = mpsc::channel(2);
            let mut teller = Teller::new(sender);
            records.iter().for_each(|record| teller.record(record, |_| None));
            let mut lost = [0; KINDS];
            lost_in_kernel.iter().for_each(|(kind, many)| lost[*kind as usize] = *many);
            teller.lost(lost);
            let mut text = String::new();
            let mut take = |sign: Sign| text += &format!("{:?}\n", sign.saw);
            while let Ok(sign) = signs.try_recv() {
                take(sign);
            }
            while teller.owes() && teller.room().await {
                take(signs.recv().await.unwrap());
            }
            teller.lost(lost);
            teller.record(&in_use(9), |_| None);
            take(signs.recv().await.unwrap());
            text
        });
        expected.assert_eq(&text);
    }

    #[test]
    fn signs_that_find_no_room_are_told_as_a_loss_of_their_kinds() {
        let exit = record(Kind::Exit as u32, 0);
        check(
            &[in_use(1), in_use(2), in_use(3), exit.clone(), exit],
            &[],
            expect![[r#"
                InUse(Port(1))
                InUse(Port(2))
                Loss(Loss { lost: 3, place: "channel of the probes: 2 of exit, 1 of in_use" })
                InUse(Port(9))
            "#]],
        );
    }

    #[test]
    fn what_the_kernel_lost_is_told_once() {
        check(
            &[in_use(1)],
            &[(Kind::Exit, 312), (Kind::ListenerDown, 1)],
            expect![[r#"
                InUse(Port(1))
                Loss(Loss { lost: 313, place: "ring buffer of the probes: 312 of exit, 1 of listener_down" })
                InUse(Port(9))
            "#]],
        );
    }

    #[test]
    fn both_losses_are_told_together() {
        check(
            &[in_use(1), in_use(2), in_use(3)],
            &[(Kind::Signal, 7)],
            expect![[r#"
                InUse(Port(1))
                InUse(Port(2))
                Loss(Loss { lost: 8, place: "ring buffer of the probes: 7 of signal_sent; channel of the probes: 1 of in_use" })
                InUse(Port(9))
            "#]],
        );
    }

    #[test]
    fn a_loss_that_goes_on_is_told_now_and_then_and_signs_meanwhile() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let text = runtime.block_on(async {
            let (sender, mut signs) = mpsc::channel(2);
            let mut teller = Teller::new(sender);
            let mut lost = [0; KINDS];
            let mut text = String::new();
            let mut told_at = Vec::new();
            for port in 1..=2 {
                lost[Kind::Exit as usize] += 5;
                teller.lost(lost);
                teller.record(&in_use(port), |_| None);
                text += &format!("{:?}\n", signs.recv().await.unwrap().saw);
                assert!(teller.room().await);
                let sign = signs.recv().await.unwrap();
                text += &format!("{:?}\n", sign.saw);
                told_at.push(sign.at);
            }
            assert!(told_at[1].since(told_at[0]) >= PACE, "{told_at:?}");
            text
        });
        expect![[r#"
            InUse(Port(1))
            Loss(Loss { lost: 5, place: "ring buffer of the probes: 5 of exit" })
            InUse(Port(2))
            Loss(Loss { lost: 5, place: "ring buffer of the probes: 5 of exit" })
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn what_cannot_be_read_was_something_all_the_same() {
        check(
            &[vec![], record(77, 1), record(Kind::InUse as u32, 70_000)],
            &[],
            expect![[r#"
                Loss(Loss { lost: 3, place: "channel of the probes: 2 of an unknown kind, 1 of in_use" })
                InUse(Port(9))
            "#]],
        );
    }
}
