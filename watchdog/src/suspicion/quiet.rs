use std::time::Duration;

use crate::model::{Mono, Port, Suspicion, Verdict, Why};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The quiet of one service: a suspicion that a heartbeat answered alive is quiet for 1 s, doubled up to 60 s, until a
/// verdict changes, so that long polls, websockets and uploads cost nothing.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    /// A suspicion was told and no verdict has come since.
    open: bool,
    /// Until when, and how long this quiet time is.
    quiet: Option<(Mono, Duration)>,
    /// The first suspicion that came in the quiet time.
    kept: Option<Suspicion>,
}

impl Quiet {
    /// Tells a suspicion now, or keeps it until the quiet time is over.
    pub(super) fn pass(&mut self, now: Mono, suspicion: Suspicion) -> Option<Suspicion> {
        if let Some((until, length)) = self.quiet {
            if now < until {
                self.kept.get_or_insert(suspicion);
                return None;
            }
            if now.since(until) > length {
                self.quiet = None; // nothing came for as long again: what comes now is something new
            }
        }
        self.open = true;
        Some(suspicion)
    }

    /// A verdict ends the question: alive makes it quiet, for longer each time; dead ends all quiet.
    pub(super) fn answered(&mut self, now: Mono, verdict: Verdict) {
        match verdict {
            Verdict::Alive => {
                if !self.open {
                    return;
                }
                let length = self.quiet.map_or(FIRST, |(_, length)| (length * 2).min(LONGEST));
                self.quiet = Some((now + length, length));
                self.open = false;
            }
            Verdict::Dead => {
                self.quiet = None;
                self.kept = None;
            }
            Verdict::Unknown => {}
        }
    }

    /// What was kept, once the quiet time is over.
    pub(super) fn over(&mut self, now: Mono) -> Option<Suspicion> {
        let (until, _) = self.quiet?;
        if now < until {
            return None;
        }
        let kept = self.kept.take()?;
        self.open = true;
        Some(kept)
    }

    pub(super) fn wake_at(&self) -> Option<Mono> {
        self.kept.as_ref().and(self.quiet).map(|(until, _)| until)
    }

    pub(super) fn forget_stall(&mut self, over: Port) {
        let stalled = match self.kept.as_ref().map(|s| &s.why) {
            Some(Why::AcceptStall(stall)) => stall.port == over,
            Some(
                Why::MainExit { .. }
                | Why::WorkerExit { .. }
                | Why::AnswerStall(_)
                | Why::ListenerLost(_)
                | Why::InUse
                | Why::Loss,
            )
            | None => false,
        };
        if stalled {
            self.kept = None;
        }
    }
}
