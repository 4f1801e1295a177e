use std::{mem, time::Duration};

use crate::model::{Mono, Port, Suspicion, Verdict, Why};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The quiet of one service: a suspicion that a heartbeat answered alive is quiet for 1 s, doubled up to 60 s, until a
/// verdict changes, so that long polls, websockets and uploads cost nothing. Each minute of calm takes one doubling back, and so
/// however they come, suspicions that are answered alive lead to one heartbeat a minute in the long run. What is suspected for
/// another reason is asked about at once, and quiet from then on.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    /// A suspicion was told and no verdict has come since.
    open: bool,
    /// Until when, and how long this quiet time is.
    quiet: Option<(Mono, Duration)>,
    /// What was asked about since there is quiet, one of each kind.
    covers: Vec<Why>,
    /// What came in the quiet time, in this order: of each kind the first, so that what is over takes nothing else with it.
    kept: Vec<Suspicion>,
    /// A process was told to stop since the question is open.
    stopping: Option<Suspicion>,
}

/// A process that was sent SIGSTOP stands still when it is run next, and so do its threads one by one: until then it may answer
/// once more, and then nothing would be told of it any more.
const STOPS_WITHIN: Duration = Duration::from_secs(1);

impl Quiet {
    /// Tells a suspicion now, or keeps it until the quiet time is over.
    pub(super) fn pass(&mut self, now: Mono, suspicion: Suspicion) -> Option<Suspicion> {
        self.calm(now);
        let covered = self.covers.iter().any(|why| alike(why, &suspicion.why));
        if covered && self.quiet.is_some_and(|(until, _)| now < until) {
            if !self.kept.iter().any(|kept| alike(&kept.why, &suspicion.why)) {
                self.kept.push(suspicion);
            }
            return None;
        }
        if !covered {
            self.covers.push(suspicion.why.clone());
        }
        if !mem::replace(&mut self.open, true) {
            self.stopping = None;
        }
        if matches!(suspicion.why, Why::Stopped(_)) {
            self.stopping = Some(suspicion.clone());
        }
        self.kept.clear(); // one heartbeat answers for them all
        Some(suspicion)
    }

    /// The verdict of a heartbeat that began then ends the question: alive makes it quiet, for longer each time; dead ends all
    /// quiet.
    pub(super) fn answered(&mut self, now: Mono, began: Mono, verdict: Verdict) {
        match verdict {
            Verdict::Alive => {
                if !self.open {
                    return;
                }
                let length = self.quiet.map_or(FIRST, |(_, length)| (length * 2).min(LONGEST));
                self.quiet = Some((now + length, length));
                self.open = false;
                let stopping = self.stopping.take();
                self.kept.extend(stopping.filter(|stopping| stopping.at + STOPS_WITHIN > began));
            }
            Verdict::Dead => {
                self.quiet = None;
                self.covers.clear();
                self.kept.clear();
                self.stopping = None;
            }
            Verdict::Unknown => {}
        }
    }

    /// Nothing came for a while: the next quiet time is the shorter for it, and after long enough all is new.
    fn calm(&mut self, now: Mono) {
        let Some((until, length)) = self.quiet else { return };
        let minutes = now.since(until).as_secs() / LONGEST.as_secs();
        let shorter = length / 2_u32.saturating_pow(u32::try_from(minutes).unwrap_or(u32::MAX));
        if minutes == 0 || self.open {
            return;
        }
        if shorter < FIRST {
            self.quiet = None;
            self.covers.clear();
        } else {
            self.quiet = Some((until, shorter));
        }
    }

    /// What was kept, once the quiet time is over.
    pub(super) fn over(&mut self, now: Mono) -> Option<Suspicion> {
        let (until, _) = self.quiet?;
        if now < until {
            return None;
        }
        let first = self.kept.drain(..).next()?;
        self.open = true;
        Some(first)
    }

    pub(super) fn wake_at(&self) -> Option<Mono> {
        self.kept.first().and(self.quiet).map(|(until, _)| until)
    }

    pub(super) fn forget_stall(&mut self, over: Port) {
        self.kept.retain(|kept| match &kept.why {
            Why::AcceptStall(stall) => stall.port != over,
            Why::MainExit { .. }
            | Why::WorkerExit { .. }
            | Why::WorkerStorm(_)
            | Why::AnswerStall(_)
            | Why::UnixStall(_)
            | Why::ListenerLost(_)
            | Why::OomKill(_)
            | Why::Stopped(_)
            | Why::ServerErrors(_)
            | Why::LogErrors(_)
            | Why::InUse
            | Why::Loss => true,
        });
    }
}

/// Two that are over together, and of which the first says as much as both.
fn alike(one: &Why, other: &Why) -> bool {
    match (one, other) {
        (Why::AcceptStall(one), Why::AcceptStall(other)) => one.port == other.port,
        (one, other) => mem::discriminant(one) == mem::discriminant(other),
    }
}
