//! What goes wrong, and what operators do: one thing at a time, at random moments.

use std::time::Duration;

use watchdog::model::{
    ActiveState, Cause, CgroupId, Command, Exit, FileState, JobKind, LoadState, Mono, Pause, Port, Saw, Sign,
    Source, Stall, Wall,
};

use super::{Episode, Event, crash::Point};
use crate::{
    books::Told,
    dice::Dice,
    host::{Health, Owner, Reply, StartWay, StopWay},
    scenario::{millis, port_of, secs},
};

/// How rough this host is, and what is wrong with it now.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// The mean time between two things that happen.
    pace: Duration,
    /// Kinds of faults that do not happen on this host: without them the others show more.
    spared: u32,
    /// systemd's words are lost.
    pub(super) gap: bool,
    /// The kernel's records are lost.
    pub(super) ring_loss: bool,
    /// Replies and looks get lost now and then.
    pub(super) lossy: bool,
    /// watchdog's own faults: it cannot ask.
    pub(super) unknown_until: Mono,
    pub(super) systemd_slow_until: Mono,
    /// The host is short of memory, I/O, disk or tasks.
    pub(super) short_until: Mono,
    pub(super) short_of: usize,
}

/// Kinds of faults, and how often each comes.
const KINDS: [(Kind, usize); 24] = [
    (Kind::Dies, 16),
    (Kind::Hangs, 8),
    (Kind::Sickens, 6),
    (Kind::Recovers, 8),
    (Kind::StartsOtherwise, 6),
    (Kind::StopsOtherwise, 5),
    (Kind::OperatorStops, 3),
    (Kind::OperatorStarts, 5),
    (Kind::OperatorRestarts, 2),
    (Kind::OperatorReloads, 1),
    (Kind::Enabling, 3),
    (Kind::Pausing, 3),
    (Kind::Configuring, 2),
    (Kind::WatchdogDies, 1),
    (Kind::Gap, 2),
    (Kind::RingLoss, 2),
    (Kind::Stranger, 3),
    (Kind::OwnFaults, 2),
    (Kind::Starves, 1),
    (Kind::Suspicious, 10),
    (Kind::NeedFails, 4),
    (Kind::SystemdSlow, 1),
    (Kind::Shortage, 2),
    (Kind::Breaks, 3),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Dies,
    Hangs,
    Sickens,
    Recovers,
    StartsOtherwise,
    StopsOtherwise,
    OperatorStops,
    OperatorStarts,
    OperatorRestarts,
    OperatorReloads,
    Enabling,
    Pausing,
    Configuring,
    WatchdogDies,
    Gap,
    RingLoss,
    Stranger,
    OwnFaults,
    Starves,
    Suspicious,
    NeedFails,
    SystemdSlow,
    Shortage,
    Breaks,
}

impl Trouble {
    pub(super) fn new(dice: &mut Dice) -> Trouble {
        let pace = *dice.pick(&[millis(50), millis(300), secs(1), secs(4), secs(20), secs(90)]);
        let spared = if dice.permille(300) { 0 } else { (dice.next() & dice.next()) as u32 };
        Trouble {
            pace,
            spared,
            gap: false,
            ring_loss: false,
            lossy: dice.permille(200),
            unknown_until: Mono(0),
            systemd_slow_until: Mono(0),
            short_until: Mono(0),
            short_of: 0,
        }
    }
}

impl Episode {
    pub(super) fn next_fault(&mut self) {
        let after = self.dice.spread(self.trouble.pace / 16, self.trouble.pace * 2);
        self.queue.push(self.now + after, Event::Fault);
    }

    pub(super) fn fault(&mut self) {
        self.next_fault();
        let all: usize = KINDS.iter().map(|(_, often)| often).sum();
        let mut drawn = self.dice.below(all);
        let kind = KINDS.iter().enumerate().find(|(_, (_, often))| {
            let here = drawn < *often;
            drawn = drawn.saturating_sub(*often);
            here
        });
        let Some((number, (kind, _))) = kind else { return };
        if self.trouble.spared & (1 << number) != 0 {
            return;
        }
        let at = self.dice.below(self.all.homes.len().min(self.host.units.len()));
        self.line(|now| format!("{now} # {kind:?} {at}"));
        self.happens(*kind, at);
        self.heed();
    }

    fn happens(&mut self, kind: Kind, at: usize) {
        let now = self.now;
        match kind {
            Kind::Dies => {
                let causes = [KILLED, KILLED, Cause::Code(1), Cause::Code(0), TERMINATED, ABORTED];
                let cause = *self.dice.pick(&causes);
                let reaped = self.dice.spread(Duration::from_micros(300), millis(250));
                self.host.main_ends(now, at, cause, reaped);
            }
            Kind::Hangs => {
                // often not one alone, and deaf to SIGTERM: then the others wait for its restart
                let other = self.dice.permille(300).then(|| self.dice.below(self.all.homes.len()));
                let together = other.is_some();
                for at in std::iter::once(at).chain(other.filter(|other| *other < self.host.units.len())) {
                    self.host.units[at].health = Health::Hangs;
                    if together {
                        self.host.units[at].stop_way = StopWay::Ignores;
                    }
                    self.stall(at);
                }
            }
            Kind::Sickens => {
                self.host.units[at].health = *self.dice.pick(&[Health::Sick, Health::Slow]);
                self.in_use(at);
            }
            Kind::Recovers => {
                self.host.units[at].health = Health::Well;
                self.host.units[at].port_taken = false;
            }
            Kind::StartsOtherwise => {
                let some = self.dice.spread(millis(5), secs(8));
                let ways = [
                    StartWay::Well(some),
                    StartWay::Well(some),
                    StartWay::Well(millis(20)),
                    StartWay::Fails(some),
                    StartWay::Hangs,
                    StartWay::Loops(some),
                    StartWay::Deaf,
                ];
                self.host.units[at].start_way = *self.dice.pick(&ways);
            }
            Kind::StopsOtherwise => {
                let some = self.dice.spread(millis(5), secs(100));
                let ways = [
                    StopWay::Obeys(millis(20)),
                    StopWay::Obeys(some),
                    StopWay::Obeys(some),
                    StopWay::Ignores,
                    StopWay::Stuck(now + some),
                ];
                self.host.units[at].stop_way = *self.dice.pick(&ways);
            }
            Kind::OperatorStops => self.operator(at, JobKind::Stop),
            Kind::OperatorStarts => self.operator(at, JobKind::Start),
            Kind::OperatorRestarts => self.operator(at, JobKind::Restart),
            Kind::OperatorReloads => self.operator(at, JobKind::Reload),
            Kind::Enabling => {
                let unit = &mut self.host.units[at];
                (unit.load, unit.file) = *self.dice.pick(&[
                    (LoadState::Loaded, FileState::Other),
                    (LoadState::Loaded, FileState::Other),
                    (LoadState::Loaded, FileState::Disabled),
                    (LoadState::Masked, FileState::Masked),
                    (LoadState::NotFound, FileState::Other),
                ]);
                self.host.words.push(crate::host::Word::State(at));
            }
            Kind::Pausing => {
                let Some(service) = self.a_service() else { return };
                let length = self.dice.spread(secs(1), secs(600));
                let pause = Pause {
                    until: now + length,
                    since: Wall(0),
                    by: "root".to_owned(),
                    reason: String::new(),
                };
                let command = if self.dice.permille(600) {
                    Command::Pause { service, pause }
                } else {
                    Command::Resume { service }
                };
                self.queue.push(now, Event::Command(Box::new(command)));
            }
            Kind::Configuring => self.configure(),
            Kind::WatchdogDies => self.crash = Some(*self.dice.pick(&Point::ALL)),
            Kind::Gap => {
                if !self.trouble.gap && self.dead.is_none() {
                    self.trouble.gap = true;
                    let length = self.dice.spread(millis(1), secs(20));
                    self.queue.push(now + length, Event::GapOver);
                    if self.dice.permille(300) {
                        self.operator(at, JobKind::Stop); // whose job nobody hears of
                    }
                }
            }
            Kind::RingLoss => {
                self.trouble.ring_loss = !self.trouble.ring_loss;
                if !self.trouble.ring_loss {
                    self.lost(Source::Ebpf);
                }
            }
            Kind::Stranger => {
                let unit = &mut self.host.units[at];
                unit.port_taken = !unit.port_taken && !unit.active.is_up();
            }
            Kind::OwnFaults => {
                self.trouble.unknown_until = now + self.dice.spread(millis(100), secs(300));
            }
            Kind::Starves => {
                let until = now + self.dice.spread(millis(10), secs(20));
                self.busy_until = self.busy_until.max(until);
            }
            Kind::Suspicious => match self.dice.below(4) {
                0 => self.stall(at),
                1 => self.in_use(at),
                2 => self.worker_dies(at),
                _ => self.client(at),
            },
            Kind::NeedFails => {
                let states = [
                    (ActiveState::Active, "running"),
                    (ActiveState::Failed, "failed"),
                    (ActiveState::Activating, "start"),
                    (ActiveState::Inactive, "dead"),
                ];
                let (active, sub) = *self.dice.pick(&states);
                if let Some(needed) = self.needed() {
                    let unit = &mut self.host.units[needed];
                    (unit.active, unit.sub) = (active, sub);
                    self.host.words.push(crate::host::Word::State(needed));
                }
            }
            Kind::Shortage => {
                self.trouble.short_until = now + self.dice.spread(secs(1), secs(600));
                self.trouble.short_of = self.dice.below(4);
            }
            Kind::Breaks => {
                let unit = &mut self.host.units[at];
                match self.dice.below(3) {
                    0 => unit.broken = !unit.broken,
                    1 => unit.stale_pid_file = true,
                    _ => (unit.broken, unit.stale_pid_file) = (false, false),
                }
            }
            Kind::SystemdSlow => {
                self.trouble.systemd_slow_until = now + self.dice.spread(secs(1), secs(120));
            }
        }
    }

    /// The unit that services need and nobody keeps.
    pub(super) fn needed(&self) -> Option<usize> {
        self.host.units.iter().position(|unit| unit.name.as_str() == "needed.service")
    }

    fn operator(&mut self, at: usize, kind: JobKind) {
        // a reload takes back a stop that is on its way
        let stopping = self.host.units[at].job.is_some_and(|job| job.kind == JobKind::Stop);
        // the stop of what has ended leaves no trace for a watchdog that does not listen
        let unheard = self.dead.is_some() || self.trouble.gap;
        self.guesses |= unheard && kind == JobKind::Stop && !self.host.units[at].active.is_up();
        let reply = self.host.ask_job(self.now, at, kind, Owner::Operator, true);
        if reply_is_good(reply) && (kind != JobKind::Reload || stopping) {
            self.host.units[at].wanted_down = kind == JobKind::Stop;
            self.host.units[at].stopped_at = self.now;
            self.host.units[at].was_stopped |= kind == JobKind::Stop;
        }
        self.tally.count(
            "operator",
            match kind {
                JobKind::Stop => "stop",
                JobKind::Start => "start",
                JobKind::Restart => "restart",
                JobKind::Reload => "reload",
            },
        );
    }

    /// A client of a socket-activated unit.
    fn client(&mut self, at: usize) {
        if self.host.units[at].socket && self.host.units[at].active.is_down() {
            let reply = self.host.ask_job(self.now, at, JobKind::Start, Owner::Systemd, false);
            self.host.units[at].wanted_down &= !reply_is_good(reply);
        }
    }

    fn configure(&mut self) {
        if self.dead.is_some() || self.now < self.busy_until {
            return;
        }
        let other = self.current.reconfigured(&mut self.dice, &self.all);
        self.current = other;
        let settings = self.current.policy.clone();
        self.step(Told::Settings(&settings));
        // the engine reads the units that are new to it
        self.reconcile();
    }

    fn a_service(&mut self) -> Option<watchdog::model::Service> {
        let count = self.current.policy.services.len();
        let at = self.dice.below(count);
        self.current.policy.services.keys().nth(at).cloned()
    }

    pub(super) fn gap_over(&mut self) {
        self.trouble.gap = false;
        self.lost(Source::Units);
    }

    fn stall(&mut self, at: usize) {
        let stall = Stall { port: Port(port_of(at)), age: secs(1), waiting: 3 };
        let saw = if self.dice.coin() { Saw::AcceptStall(stall) } else { Saw::AnswerStall(stall) };
        self.kernel_says(saw);
    }

    fn in_use(&mut self, at: usize) {
        self.kernel_says(Saw::InUse(Port(port_of(at))));
    }

    fn worker_dies(&mut self, at: usize) {
        let unit = &self.host.units[at];
        let Some(CgroupId(run)) = unit.cgroup() else { return };
        let exit =
            Exit { cgroup: CgroupId(run), pid: 7, cause: Some(ABORTED), comm: "worker".to_owned(), more: 0 };
        self.kernel_says(Saw::Exit(exit));
    }

    fn kernel_says(&mut self, saw: Saw) {
        if self.trouble.ring_loss {
            return;
        }
        let sign = Sign { at: self.now, source: Source::Ebpf, saw };
        self.queue.push_kept(self.now + millis(1), Event::Sign(Box::new(sign)));
    }
}

const KILLED: Cause = Cause::Signal { signal: 9, core: false };
const TERMINATED: Cause = Cause::Signal { signal: 15, core: false };
const ABORTED: Cause = Cause::Signal { signal: 6, core: true };

fn reply_is_good(reply: Reply) -> bool {
    matches!(reply, Reply::Queued(_))
}
