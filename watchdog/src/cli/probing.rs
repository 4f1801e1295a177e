//! The probes in the kernel, for as long as there can be any: goes on with those that are left, loads others, and tries again
//! when they are lost. What they see and what they do not is told to the table of rungs.
//!
//! Invariant: watchdog runs with them or without. A refusal that is final is said once and not tried again.

use std::time::Duration;

use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::{
    complain,
    survival::{self, Ready},
};
use crate::{
    clock,
    model::{Loss, Saw, Serving, Sign, Source, Tick, Watch},
    sources::ebpf::{self, Kept, Probes},
};

/// Before another try, after probes that were lost or could not be loaded; doubled up to the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(600);

/// It is proved so often that the probes still speak.
const PROOF: Duration = Duration::from_secs(60);

/// The probes, or none for now.
pub(super) struct Probing {
    probes: Option<Probes>,
    /// Without probes: to try again comes to nothing.
    in_vain: bool,
    signs: mpsc::Sender<Sign>,
}

impl Probing {
    /// Probes to start with, what a watchdog before this one watched by them, and the first word to the table of rungs. What
    /// happened before this process was is told now: before anything else is.
    pub(super) fn begin(watch: &Watch, kept: Vec<Kept>, signs: mpsc::Sender<Sign>) -> (Probing, Watch) {
        let ready = survival::probes(watch, kept);
        survival::hold_memory();
        let begun = ready.and_then(|Ready { mut probes, left }| {
            probes.catch_up(&signs)?;
            Ok((probes, left))
        });
        let (serving, probes, left, in_vain) = match begun {
            Ok((probes, left)) => {
                probes.missing().iter().for_each(complain);
                (ebpf::serving(probes.missing()), Some(probes), left, false)
            }
            Err(fault) => {
                say_without(&fault);
                (ebpf::serving_nothing(&fault.chain()), None, Watch::default(), fault.is_final())
            }
        };
        // the channel is empty, or holds what happened before this process was: there is room but for a storm of that
        if signs.try_send(sign(Saw::Serving(serving))).is_err() {
            tracing::warn!("not told what the probes see: the queue of signs is full");
        }
        (Probing { probes, in_vain, signs }, left)
    }

    /// What it does while all is well.
    pub(super) fn tick(&self) -> Option<Tick> {
        let what = "the probes are proved to speak: a child ends, a port is opened on loopback".to_owned();
        self.probes.is_some().then_some(Tick { what, every: PROOF })
    }

    /// Runs until nobody takes the signs any more.
    pub(super) async fn run(mut self, watched: watch::Receiver<Watch>) {
        let mut pause = FIRST;
        loop {
            if let Some(mut probes) = self.probes.take() {
                probes.prove_every(PROOF);
                // a task of its own: what panics in there is lost as well
                let run = tokio::spawn(probes.run(self.signs.clone(), watched.clone())).await;
                let why = match run {
                    Ok(Ok(())) => return,
                    Ok(Err(fault)) => fault.chain(),
                    Err(fault) => fault.to_string(),
                };
                survival::forget_probes();
                complain(format_args!("the probes in the kernel are lost, and loaded anew: {why}"));
                self.lost(&why).await;
            }
            if self.in_vain {
                return;
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = self.signs.closed() => return,
            }
            pause = (pause * 2).min(LONGEST);
            let wanted = watched.borrow().clone();
            let loading = tokio::task::spawn_blocking(move || survival::probes(&wanted, Vec::new()));
            match loading.await {
                Ok(Ok(Ready { probes, left: _ })) => {
                    pause = FIRST;
                    complain("the probes are in the kernel again");
                    self.found(ebpf::serving(probes.missing())).await;
                    self.probes = Some(probes);
                }
                Ok(Err(fault)) => {
                    tracing::debug!(fault = fault.chain(), "the probes are not loaded");
                    self.in_vain = fault.is_final();
                    self.tell(Saw::Serving(ebpf::serving_nothing(&fault.chain()))).await;
                }
                Err(fault) => tracing::warn!(%fault, "the probes are not loaded"),
            }
        }
    }

    async fn lost(&self, why: &str) {
        self.tell(Saw::Working { works: false, why: why.to_owned() }).await;
        self.tell(Saw::Serving(ebpf::serving_nothing(why))).await;
        self.tell(gap("the probes are lost")).await;
    }

    async fn found(&self, serving: Vec<Serving>) {
        self.tell(Saw::Working { works: true, why: String::new() }).await;
        self.tell(Saw::Serving(serving)).await;
        self.tell(gap("the probes were loaded anew")).await;
    }

    /// Where nobody takes it, this process ends.
    async fn tell(&self, saw: Saw) {
        self.signs.send(sign(saw)).await.ok();
    }
}

fn say_without(fault: &ebpf::Error) {
    let further = if fault.is_final() { "" } else { " (it is tried again)" };
    complain(format_args!(
        "{}{further}; until then failures are seen by what systemd and the kernel's tables tell, later and not all of them: \
         the records watchdog.sign.serving name each",
        fault.chain()
    ));
}

fn gap(place: &str) -> Saw {
    Saw::Loss(Loss { lost: 0, place: place.to_owned() })
}

fn sign(saw: Saw) -> Sign {
    Sign { at: clock::now(), source: Source::Ebpf, saw }
}
