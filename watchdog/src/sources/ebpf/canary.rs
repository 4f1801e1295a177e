//! Do the programs in the kernel still speak? Now and then we do ourselves what they must tell, and listen for it. Pure: told
//! the time and the records.
//!
//! Invariant: what was done for this is never told as a sign, and what could not be done or heard for another reason proves
//! nothing. Deliberately absent: programs that tell of what nobody can do at will (the OOM killer's).

use std::time::Duration;

use tokio::time::Instant;
use watchdog_common::{Kind, Record};

use super::missing::Program;

/// What is not heard within this is not told.
const PATIENCE: Duration = Duration::from_secs(2);
/// When it is awake anyway, it sings after this part of the time between two songs.
const EARLY: (u32, u32) = (3, 4);

/// What was done in order to be told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Song {
    /// The cgroup in which it was done: watchdog's own.
    pub(super) cgroup: u64,
    /// A process was killed.
    pub(super) pid: Option<u32>,
    /// A socket listened on this port.
    pub(super) port: Option<u16>,
}

/// What came of a song.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing yet.
    Waiting,
    /// These have spoken, and those have not.
    Over {
        /// They do.
        speak: Vec<Program>,
        /// They do not, and nothing was lost meanwhile.
        deaf: Vec<Program>,
    },
}

/// Listens to the programs.
pub(super) struct Canary {
    every: Option<Duration>,
    due: Instant,
    /// Of the last song, which may be told late.
    cgroup: u64,
    song: Option<Waiting>,
}

struct Waiting {
    song: Song,
    until: Instant,
    /// Records lost before it.
    lost: u64,
    owed: Vec<Program>,
    speak: Vec<Program>,
}

impl Canary {
    /// Sings at once, and then so often; never where there is no such time.
    pub(super) fn new(now: Instant, every: Option<Duration>) -> Canary {
        Canary { every, due: now, cgroup: 0, song: None }
    }

    /// It is time for a song; `awake`: something else has woken us.
    pub(super) fn is_due(&self, now: Instant, awake: bool) -> bool {
        let Some(every) = self.every else { return false };
        let early = if awake { every - every * EARLY.0 / EARLY.1 } else { Duration::ZERO };
        self.song.is_none() && now + early >= self.due
    }

    /// When there is something to be done; `None`: never.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.every.map(|_| self.song.as_ref().map_or(self.due, |waiting| waiting.until))
    }

    /// It sang (or could not: `None`), and these programs run. What was lost so far is what is lost without it.
    pub(super) fn sang(&mut self, now: Instant, song: Option<Song>, programs: &[Program], lost: u64) {
        self.due = now + self.every.unwrap_or_default();
        let Some(song) = song else { return };
        self.cgroup = song.cgroup;
        let owed = programs.iter().copied().filter(|program| song.is_heard_by(*program)).collect();
        self.song = Some(Waiting { song, until: now + PATIENCE, lost, owed, speak: vec![] });
    }

    /// Once more at once.
    pub(super) fn again(&mut self, now: Instant) {
        self.due = now;
    }

    /// A record came; whether it is of what was done here, and nobody's sign.
    pub(super) fn heard(&mut self, bytes: &[u8]) -> bool {
        if self.cgroup == 0 {
            return false;
        }
        let Some(record) = Record::from_bytes(bytes) else { return false };
        if record.cgroup != self.cgroup {
            return false;
        }
        let Some(kind) = Kind::from_u32(record.kind) else { return false };
        let (program, is_ours) = match kind {
            Kind::Exit => (Program::Exit, self.is_of(|song| song.pid == Some(record.pid))),
            Kind::Signal => (Program::Signal, self.is_of(|song| song.pid == Some(record.pid))),
            Kind::ListenerUp => {
                (Program::State, self.is_of(|song| song.port.map(u32::from) == Some(record.port)))
            }
            Kind::ListenerDown
            | Kind::AcceptStall
            | Kind::AnswerStall
            | Kind::StallOver
            | Kind::InUse
            | Kind::Oom
            | Kind::ServerErrors
            | Kind::CommandRun => return false,
        };
        if let Some(waiting) = self.song.as_mut().filter(|_| is_ours)
            && let Some(at) = waiting.owed.iter().position(|owed| *owed == program)
        {
            waiting.speak.push(waiting.owed.swap_remove(at));
        }
        true
    }

    /// Asked when all records were read. `facts` are asked for once the time is over: whether the killed process has ended,
    /// and how many records were lost so far; `None` where that is not known.
    pub(super) fn judge(&mut self, now: Instant, facts: impl FnOnce() -> (bool, Option<u64>)) -> Heard {
        let Some(waiting) = self.song.take_if(|song| song.owed.is_empty() || now >= song.until) else {
            return Heard::Waiting;
        };
        let mut deaf = waiting.owed;
        if !deaf.is_empty() {
            let (ended, lost) = facts();
            // a host without a moment to spare has not let it end
            deaf.retain(|program| lost == Some(waiting.lost) && (ended || *program != Program::Exit));
        }
        Heard::Over { speak: waiting.speak, deaf }
    }

    fn is_of(&self, same: impl Fn(&Song) -> bool) -> bool {
        self.song.as_ref().is_some_and(|waiting| same(&waiting.song))
    }
}

impl Song {
    fn is_heard_by(&self, program: Program) -> bool {
        match program {
            Program::Exit | Program::Signal => self.pid.is_some(),
            Program::State => self.port.is_some(),
            Program::Oom | Program::Command | Program::Seed | Program::Egress => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use watchdog_common::RECORD_SIZE;

    use super::*;

    const EVERY: Duration = Duration::from_secs(60);
    const OURS: u64 = 7;
    const SONG: Song = Song { cgroup: OURS, pid: Some(42), port: Some(5000) };

    fn record(cgroup: u64, kind: Kind, pid: u32, port: u32) -> Vec<u8> {
        let mut bytes = vec![0; RECORD_SIZE];
        bytes[8..16].copy_from_slice(&cgroup.to_ne_bytes());
        bytes[32..36].copy_from_slice(&(kind as u32).to_ne_bytes());
        bytes[36..40].copy_from_slice(&pid.to_ne_bytes());
        bytes[44..48].copy_from_slice(&port.to_ne_bytes());
        bytes
    }

    fn all() -> [Vec<u8>; 3] {
        [
            record(OURS, Kind::Signal, 42, 0),
            record(OURS, Kind::Exit, 42, 0),
            record(OURS, Kind::ListenerUp, 0, 5000),
        ]
    }

    /// Sings once, hears these records, and is asked after so many milliseconds, when so many records were lost meanwhile.
    fn check(song: Option<Song>, records: &[Vec<u8>], after_ms: u64, lost: u64, expected: Expect) {
        check_when(song, records, after_ms, (true, Some(5 + lost)), expected);
    }

    fn check_when(
        song: Option<Song>,
        records: &[Vec<u8>],
        after_ms: u64,
        facts: (bool, Option<u64>),
        expected: Expect,
    ) {
        let now = Instant::now();
        let mut canary = Canary::new(now, Some(EVERY));
        assert!(canary.is_due(now, false));
        canary.sang(now, song, &Program::ALL, 5);
        for record in records {
            assert!(canary.heard(record), "it was told as a sign");
        }
        let then = now + Duration::from_millis(after_ms);
        let heard = canary.judge(then, || facts);
        let next = canary.wake_at().map(|at| at - now);
        expected.assert_eq(&format!("{heard:?}, then awake after {next:?}"));
    }

    #[test]
    fn all_that_speak_are_heard_before_the_time_is_over() {
        check(
            Some(SONG),
            &all(),
            1,
            0,
            expect!["Over { speak: [Signal, Exit, State], deaf: [] }, then awake after Some(60s)"],
        );
    }

    #[test]
    fn who_is_silent_for_two_seconds_is_deaf() {
        let [signal, exit, _] = all();
        check(
            Some(SONG),
            &[signal.clone(), exit.clone()],
            1_999,
            0,
            expect!["Waiting, then awake after Some(2s)"],
        );
        check(
            Some(SONG),
            &[signal, exit],
            2_000,
            0,
            expect!["Over { speak: [Signal, Exit], deaf: [State] }, then awake after Some(60s)"],
        );
        check(
            Some(SONG),
            &[],
            2_500,
            0,
            expect!["Over { speak: [], deaf: [Exit, Signal, State] }, then awake after Some(60s)"],
        );
    }

    #[test]
    fn what_may_have_been_lost_makes_nobody_deaf() {
        check(Some(SONG), &[], 2_000, 1, expect!["Over { speak: [], deaf: [] }, then awake after Some(60s)"]);
    }

    #[test]
    fn a_process_that_has_not_ended_yet_makes_nobody_deaf() {
        let [signal, _, up] = all();
        let expected = expect!["Over { speak: [Signal, State], deaf: [] }, then awake after Some(60s)"];
        check_when(Some(SONG), &[signal, up], 2_000, (false, Some(5)), expected);
    }

    #[test]
    fn what_could_not_be_done_makes_nobody_deaf() {
        let listened = Song { pid: None, ..SONG };
        let [_, _, up] = all();
        check(
            Some(listened),
            &[up],
            1,
            0,
            expect!["Over { speak: [State], deaf: [] }, then awake after Some(60s)"],
        );
        check(
            Some(Song { port: None, ..listened }),
            &[],
            1,
            0,
            expect!["Over { speak: [], deaf: [] }, then awake after Some(60s)"],
        );
        check(None, &[], 2_000, 0, expect!["Waiting, then awake after Some(60s)"]);
    }

    #[test]
    fn ends_of_others_in_its_cgroup_prove_nothing_and_are_nobodys_sign() {
        let others = [record(OURS, Kind::Exit, 43, 0), record(OURS, Kind::ListenerUp, 0, 80)];
        check(
            Some(SONG),
            &others,
            2_000,
            0,
            expect!["Over { speak: [], deaf: [Exit, Signal, State] }, then awake after Some(60s)"],
        );
    }

    #[test]
    fn signs_of_services_are_left_to_others() {
        let now = Instant::now();
        let mut canary = Canary::new(now, Some(EVERY));
        let exit = record(OURS, Kind::Exit, 42, 0);
        assert!(!canary.heard(&exit), "nothing was done yet");
        canary.sang(now, Some(SONG), &Program::ALL, 0);
        for record in
            [record(8, Kind::Exit, 42, 0), record(0, Kind::InUse, 0, 80), vec![], vec![0; RECORD_SIZE]]
        {
            assert!(!canary.heard(&record), "{record:?}");
        }
        assert_ne!(canary.judge(now + PATIENCE, || (true, Some(0))), Heard::Waiting);
        assert!(canary.heard(&exit), "too late, and no sign all the same");
    }

    #[test]
    fn it_sings_early_when_it_is_awake_anyway() {
        let now = Instant::now();
        let mut canary = Canary::new(now, Some(EVERY));
        canary.sang(now, None, &[], 0);
        let after = |seconds| now + Duration::from_secs(seconds);
        let due = [(44, true), (45, true), (59, false), (60, false)];
        let said = due.map(|(seconds, awake)| canary.is_due(after(seconds), awake));
        assert_eq!(said, [false, true, false, true]);
        canary.again(after(3));
        assert!(canary.is_due(after(3), false));
    }

    #[test]
    fn without_a_time_it_never_sings() {
        let canary = Canary::new(Instant::now(), None);
        assert!(!canary.is_due(Instant::now(), true));
        assert_eq!(canary.wake_at(), None);
    }
}
