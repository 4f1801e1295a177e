//! Proves now and then that the programs still speak, and counts their runs that the kernel left out. Who is deaf is attached
//! again, once, and until it is heard it is said not to work.
//!
//! Invariant: a healthy host gets no record of this. Deliberately absent: who else may see what a deaf program does not; the
//! table of rungs knows.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aya::programs::ProgramError;
use tokio::time::{Instant, sleep_until};

use super::{
    Filters,
    canary::{Canary, Heard},
    links, load,
    missing::{Missing, Program},
    serving::serving,
    song,
    teller::Teller,
};
use crate::model::CgroupId;

const DEAF: &str = "what it should tell does not come";

/// What is proved, and what is not.
pub(super) struct Proof {
    canary: Canary,
    /// Watched for the time of a song.
    lent: Option<CgroupId>,
    /// The process that was killed for it has ended.
    ended: Arc<AtomicBool>,
    deaf: Vec<Program>,
    /// They do not run, and are not expected to speak.
    missing: Vec<Missing>,
    /// Runs left out so far, in the order of all programs.
    missed: [u64; Program::ALL.len()],
}

impl Proof {
    /// At once, and then so often; never where there is no such time.
    pub(super) fn new(every: Option<Duration>, missing: Vec<Missing>) -> Proof {
        Proof {
            canary: Canary::new(Instant::now(), every),
            lent: None,
            ended: Arc::default(),
            deaf: vec![],
            missing,
            missed: [0; Program::ALL.len()],
        }
    }

    /// Waits until there is something to be done. May be dropped at any await.
    pub(super) async fn due(&self) {
        match self.canary.wake_at() {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Whether this record is of what was done for a proof, and nobody's sign.
    pub(super) fn hears(&mut self, record: &[u8]) -> bool {
        self.canary.heard(record)
    }

    /// One turn, when all records are read; `awake`: for another reason than this.
    pub(super) fn turn(&mut self, filters: &mut Filters, teller: &mut Teller, awake: bool) {
        let now = Instant::now();
        let facts = || {
            let lost = filters.maps.lost().ok().map(|lost| lost.iter().sum());
            (self.ended.load(Ordering::Acquire), lost)
        };
        match self.canary.judge(now, facts) {
            Heard::Waiting => {}
            Heard::Over { speak, deaf } => {
                self.give_back(filters);
                self.judged(now, filters, teller, &speak, deaf);
            }
        }
        if self.canary.is_due(now, awake) {
            self.count(filters, teller);
            let sung = song::sing(&mut filters.maps);
            let lost = filters.maps.lost().map_or(0, |lost| lost.iter().sum());
            self.lent = sung.as_ref().map(|(song, _)| CgroupId(song.cgroup));
            let song = sung.map(|(song, ended)| {
                self.ended = ended;
                song
            });
            let missing =
                |program: &Program| self.missing.iter().any(|it| it.program == *program && !it.classic);
            let programs: Vec<Program> = Program::ALL.into_iter().filter(|it| !missing(it)).collect();
            self.canary.sang(now, song, &programs, lost);
        }
    }

    fn judged(
        &mut self,
        now: Instant,
        filters: &mut Filters,
        teller: &mut Teller,
        speak: &[Program],
        deaf: Vec<Program>,
    ) {
        let (back, still): (Vec<Program>, Vec<Program>) = self.deaf.iter().partition(|it| speak.contains(it));
        for program in back {
            tracing::warn!(probe = program.name(), "it speaks again");
            teller.unseen(0, format!("the probe {} was deaf", program.name()));
        }
        let new: Vec<Program> = deaf.into_iter().filter(|it| !still.contains(it)).collect();
        for program in &new {
            match filters.attach_again(*program) {
                Ok(()) => tracing::warn!(probe = program.name(), "it is deaf, and attached again"),
                Err(fault) => {
                    tracing::warn!(probe = program.name(), %fault, "it is deaf, and cannot be attached again")
                }
            }
        }
        if !new.is_empty() {
            self.canary.again(now);
        }
        let deaf: Vec<Program> = still.into_iter().chain(new).collect();
        if deaf != self.deaf {
            let silent = |program: &Program| Missing::new(*program, DEAF.to_owned());
            let missing: Vec<Missing> = self.missing.iter().cloned().chain(deaf.iter().map(silent)).collect();
            let was: Vec<Missing> =
                self.missing.iter().cloned().chain(self.deaf.iter().map(silent)).collect();
            let was = serving(&was);
            teller.serves(serving(&missing).into_iter().filter(|now| !was.contains(now)).collect());
            teller.deaf(&deaf);
            self.deaf = deaf;
        }
    }

    /// What programs did not see since we last asked.
    fn count(&mut self, filters: &mut Filters, teller: &mut Teller) {
        for (program, before) in Program::ALL.into_iter().zip(&mut self.missed) {
            // of programs that were adopted we may not be told
            let Ok(missed) = filters.program(program).and_then(|it| links::missed_runs(it.as_fd())) else {
                continue;
            };
            let more = missed.saturating_sub(*before);
            *before = missed;
            if more == 0 {
                continue;
            }
            teller
                .unseen(more, format!("{more} runs of the probe {} left out by the kernel", program.name()));
            if program == Program::State
                && let Err(fault) = load::seed(&filters.links)
            {
                tracing::warn!(%fault, "listeners may be unknown to the probes");
            }
        }
    }

    fn give_back(&mut self, filters: &mut Filters) {
        if let Some(cgroup) = self.lent.take()
            && let Err(fault) = filters.maps.take_back(cgroup)
        {
            tracing::debug!(%fault, "our own cgroup is watched still");
        }
    }
}

impl Filters {
    /// A program that is in the kernel.
    fn program(&self, program: Program) -> io::Result<OwnedFd> {
        let Some(bpf) = &self.bpf else { return self.links.program(program) };
        let loaded = bpf.program(program.name()).ok_or(ProgramError::NotLoaded).map_err(io::Error::other)?;
        loaded.fd().map_err(io::Error::other)?.as_fd().try_clone_to_owned()
    }

    fn attach_again(&mut self, program: Program) -> io::Result<()> {
        let loaded = self.program(program)?;
        self.links.cut(program);
        self.links.tie(program, loaded.as_fd())
    }
}
