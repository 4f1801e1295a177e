//! The two pure rooms, stepped together: what the engine decides, without a clock and without hands.
//!
//! Invariant: the same inputs at the same moments give the same effects. A deadline that is over by the time of an input is
//! stepped first, at the moment that it was set for, so that a recorded stream replays without a record of any waking.
//! Deliberately absent: I/O; whoever owns a core tells it the time and carries its effects out, in their order.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::{net::SocketAddr, time::Duration};

use crate::{
    model::{
        Answer, Command, Fact, Finding, Known, Loss, Mono, Order, OrderId, Outcome, Place, Port, Saw,
        Service, Sign, Source, Suspicion, Watch,
    },
    policy::{self, Input, Policy},
    suspicion::{self, Suspicions},
};

/// So late is no lateness of a busy host, but a time in which watchdog did not run.
const HELD_UP: Duration = Duration::from_secs(2);

/// What a step comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// To be recorded: the policy was told this.
    Suspicion(Suspicion),
    /// To be recorded: the policy was told this, though it did not ask.
    Found(Fact),
    /// To be recorded: the policy was told that watchdog itself was held up.
    HeldUp(Sign),
    /// To be carried out.
    Order(Order),
    /// The filters in the kernel must change to these.
    Watch(Watch),
    /// The table of listeners must be read again.
    ReadListeners,
    /// Every unit must be read again.
    Reconcile,
    /// The state of the policy is worth a record: a replay may begin here.
    TellState,
}

/// The two pure rooms.
#[derive(Debug)]
pub struct Core {
    policy: Policy,
    suspicions: Suspicions,
    /// When the policy wants to be woken, and when either room does: asked for before each input, and found once after it.
    due: Option<Mono>,
    wake_at: Option<Mono>,
}

impl Core {
    /// Keeps and watches what the settings name.
    pub fn new(now: Mono, policy: policy::Settings, suspicion: suspicion::Settings, seed: u64) -> Core {
        Core::with(Policy::new(now, policy, seed), suspicion)
    }

    /// Takes over what a watchdog before this one watched; before the first input.
    pub fn inherit(&mut self, left: &Watch) {
        self.suspicions.inherit(left);
    }

    /// Goes on with a policy that was kept; what the other room knew is seen again.
    pub fn with(policy: Policy, suspicion: suspicion::Settings) -> Core {
        let mut core = Core { policy, suspicions: Suspicions::new(suspicion), due: None, wake_at: None };
        core.done(Vec::new());
        core
    }

    /// The decisions' room.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The filters that are right now.
    pub fn watch(&self) -> &Watch {
        self.suspicions.watch()
    }

    /// Which service a sign is about, where it is about one.
    pub fn about(&self, sign: &Sign) -> Option<Service> {
        self.suspicions.about(sign)
    }

    /// Where this service's own heartbeat connects to on this port.
    pub fn own_address(&self, service: &Service, port: Port) -> SocketAddr {
        self.suspicions.own_address(service, port.0)
    }

    /// Where this service listens.
    pub fn own_places(&self, service: &Service) -> Vec<Place> {
        self.suspicions.own_places(service)
    }

    /// The suspicions' room.
    pub fn suspicions(&self) -> &Suspicions {
        &self.suspicions
    }

    /// When it wants to be woken; `None`: only by an input.
    pub fn wake_at(&self) -> Option<Mono> {
        self.wake_at
    }

    /// A source saw something. Where that is an input of the policy by itself ([`Input::of`]), it comes before what follows from
    /// it, as its record does.
    pub fn sign(&mut self, now: Mono, sign: &Sign) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.catch_up(now, &mut effects);
        let found = self.suspicions.step(now, sign);
        if let Some(input) = Input::of(sign) {
            self.decide(now, input, &mut effects);
        }
        self.findings(now, found, &mut effects);
        if matches!(sign.saw, Saw::Loss(_)) {
            effects.extend([Effect::TellState, Effect::Reconcile]);
        }
        self.done(effects)
    }

    /// A heartbeat ended.
    pub fn answer(&mut self, now: Mono, answer: Box<Answer>) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.catch_up(now, &mut effects);
        self.suspicions.answered(now, &answer.service, answer.began, answer.verdict);
        self.decide(now, Input::Answer(answer), &mut effects);
        self.done(effects)
    }

    /// An action was requested.
    pub fn outcome(&mut self, now: Mono, outcome: Outcome) -> Vec<Effect> {
        self.told(now, Input::Outcome(outcome))
    }

    /// A look is done.
    pub fn fact(&mut self, now: Mono, fact: Fact) -> Vec<Effect> {
        self.told(now, Input::Fact(fact))
    }

    /// An operator wants something.
    pub fn command(&mut self, now: Mono, command: Command) -> Vec<Effect> {
        self.told(now, Input::Command(command))
    }

    /// [`Policy::may_restart`].
    ///
    /// # Errors
    /// The reason, for people.
    pub fn may_restart(&mut self, now: Mono, service: &Service) -> Result<(), String> {
        self.policy.may_restart(now, service)
    }

    /// Other settings are in force.
    pub fn replace(
        &mut self,
        now: Mono,
        policy: policy::Settings,
        suspicion: suspicion::Settings,
    ) -> Vec<Effect> {
        let mut effects = self.suspect_by(now, suspicion);
        effects.extend(self.decide_by(now, policy));
        effects
    }

    /// The first half of [`Core::replace`], for who records each input before what it leads to: what is seen means something else
    /// now, and is decided by the old settings still.
    pub fn suspect_by(&mut self, now: Mono, settings: suspicion::Settings) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.catch_up(now, &mut effects);
        let found = self.suspicions.replace(settings);
        self.findings(now, found, &mut effects);
        self.done(effects)
    }

    /// The second half.
    pub fn decide_by(&mut self, now: Mono, settings: policy::Settings) -> Vec<Effect> {
        self.told(now, Input::Settings(Box::new(settings)))
    }

    /// It is [`Core::wake_at`], or later.
    pub fn wake(&mut self, now: Mono) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.catch_up(now, &mut effects);
        self.done(effects)
    }

    fn told(&mut self, now: Mono, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.catch_up(now, &mut effects);
        self.decide(now, input, &mut effects);
        self.done(effects)
    }

    fn done(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        self.due = self.policy.wake_at();
        self.wake_at = self.due.into_iter().chain(self.suspicions.wake_at()).min();
        effects
    }

    /// Steps what was due before this moment, each at its own; after a time in which nothing was done at all, as of now, and
    /// everything is looked at again.
    fn catch_up(&mut self, now: Mono, effects: &mut Vec<Effect>) {
        let due = self.due.filter(|at| *at <= now);
        let late = due.map(|at| now.since(at)).filter(|late| *late >= HELD_UP);
        let held_up = late.map(|late| {
            let loss = Loss { lost: 0, place: format!("nothing was done for {late:?}") };
            Sign { at: now, source: Source::Engine, saw: Saw::Loss(loss) }
        });
        if let Some(sign) = &held_up {
            effects.push(Effect::HeldUp(sign.clone()));
            self.decide(now, Input::HeldUp, effects);
        }
        if due.is_some() {
            effects.extend(self.policy.catch_up(now).into_iter().map(Effect::Order));
        }
        if let Some(sign) = &held_up {
            let found = self.suspicions.step(now, sign);
            self.findings(now, found, effects);
            effects.push(Effect::Reconcile);
        }
        if self.suspicions.wake_at().is_some_and(|at| at <= now) {
            let found = self.suspicions.wake(now);
            self.findings(now, found, effects);
        }
    }

    fn findings(&mut self, now: Mono, found: Vec<Finding>, effects: &mut Vec<Effect>) {
        for finding in found {
            match finding {
                Finding::Suspicion(suspicion) => {
                    effects.push(Effect::Suspicion(suspicion.clone()));
                    self.decide(now, Input::Suspicion(suspicion), effects);
                }
                Finding::Watch(watch) => effects.push(Effect::Watch(watch)),
                Finding::Asked { service, job, by } => {
                    let known = Known::Asked { job, by };
                    let fact = Fact { order: OrderId(0), service, at: now, known };
                    effects.push(Effect::Found(fact.clone()));
                    self.decide(now, Input::Fact(fact), effects);
                }
                Finding::AskListeners => effects.push(Effect::ReadListeners),
                Finding::Fronts { service, fronts } => {
                    let fact = Fact { order: OrderId(0), service, at: now, known: Known::Fronts(fronts) };
                    effects.push(Effect::Found(fact.clone()));
                    self.decide(now, Input::Fact(fact), effects);
                }
            }
        }
    }

    fn decide(&mut self, now: Mono, input: Input, effects: &mut Vec<Effect>) {
        effects.extend(self.policy.step(now, input).into_iter().map(Effect::Order));
    }
}
