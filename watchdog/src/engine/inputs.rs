//! Takes what comes in, in its order, and carries out what it comes to.

use super::{Engine, Event, RECONCILE, core::Effect, tables::Table};
use crate::{
    clock,
    crash::{self, Point},
    model::{
        Act, Action, Command, Decision, JobStep, Mono, Order, Outcome, Port, Saw, Sign, Source, Verdict, Why,
    },
    policy::Input,
    stream::Record,
};

impl Engine {
    pub(super) fn sign(&mut self, sign: &Sign) {
        if let Saw::Serving(serving) = &sign.saw {
            self.rungs.hear(sign.source, serving);
            return;
        }
        let now = self.caught_up();
        if matches!(&sign.saw, Saw::Job(job) if matches!(job.step, JobStep::Removed { .. })) {
            crash::at(Point::JobDone);
        }
        let service = self.core.about(sign);
        let record = Record::sign(sign, service.as_ref());
        match Input::of(sign) {
            Some(input) => {
                self.memory.input(now, &input);
                self.write(&record.taken(now));
            }
            None => self.write(&record),
        }
        if let Saw::Unit(state) = &sign.saw {
            self.hands.learn(state);
        }
        let effects = self.core.sign(now, sign);
        self.carry_out(now, effects);
    }

    /// Says by what each class of failures is seen, where that is news.
    pub(super) fn tell_rungs(&mut self) {
        if let Some(table) = self.rungs.news() {
            let table = table.to_vec();
            let saw = Saw::Serving(table.clone());
            self.write(&Record::sign(&Sign { at: clock::now(), source: Source::Engine, saw }, None));
            self.serving.send_replace(table);
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        let now = self.caught_up();
        self.remember(now, &event);
        let effects = match event {
            Event::Answer(answer) => {
                if answer.verdict != Verdict::Alive {
                    self.suspects.send_modify(|times| *times += 1);
                }
                self.write(&Record::from(&*answer).taken(now));
                self.core.answer(now, answer)
            }
            Event::Outcome(outcome) => {
                self.write(&Record::from(&outcome).taken(now));
                self.core.outcome(now, outcome)
            }
            Event::Fact(fact) => {
                let fact = self.hands.newest(fact);
                self.write(&Record::from(&fact).taken(now));
                self.core.fact(now, fact)
            }
            Event::Command(command) => {
                self.write(&Record::command(now, &command).taken(now));
                let withdrawn = match &command {
                    Command::Pause { service: paused, .. } => {
                        // a reboot would touch every service
                        let touches = |act: &Act| act.service == *paused || act.action == Action::Reboot;
                        self.memory.withdraw(now, touches)
                    }
                    Command::Resume { .. } | Command::Restart { .. } | Command::Reload { .. } => Vec::new(),
                };
                let effects = self.core.command(now, command);
                self.carry_out(now, effects);
                self.withdrawn(withdrawn);
                return;
            }
            Event::Listeners(table) => {
                self.hands.tables.done(table.as_ref());
                match table {
                    Some(table) => self.table(now, table),
                    None => return,
                }
            }
        };
        self.carry_out(now, effects);
    }

    /// What was ordered and never requested.
    pub(super) fn withdrawn(&mut self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            self.event(Event::Outcome(outcome));
        }
    }

    /// This moment, with all done that was due before it: the records of that stand before the record of what comes now.
    pub(super) fn caught_up(&mut self) -> Mono {
        let now = clock::now();
        let effects = self.core.wake(now);
        if effects.iter().any(|effect| matches!(effect, Effect::HeldUp(_))) {
            self.memory.input(now, &Input::HeldUp);
        }
        if effects.iter().any(|effect| matches!(effect, Effect::Order(Order::Act(_)))) {
            self.memory.input(now, &Input::Wake); // no other input tells of what was due
        }
        self.carry_out(now, effects);
        now
    }

    pub(super) fn wake(&mut self) {
        let now = self.caught_up();
        self.remembered();
        if now >= self.reconcile_at {
            self.reconcile_at = now + RECONCILE;
            self.hands.reconcile(self.core.policy().units_and_services());
        }
    }

    pub(super) fn carry_out(&mut self, now: Mono, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Suspicion(suspicion) => {
                    if suspicion.why != Why::InUse {
                        self.suspects.send_modify(|times| *times += 1);
                    }
                    self.write(&Record::from(&suspicion).taken(now));
                    self.memory.input(now, &Input::Suspicion(suspicion));
                }
                Effect::HeldUp(sign) => {
                    self.write(&Record::sign(&sign, None).taken(now)); // and stored already
                }
                Effect::Found(fact) => {
                    self.write(&Record::from(&fact).taken(now));
                    self.memory.input(now, &Input::Fact(fact));
                }
                Effect::Order(order) => self.order(order),
                Effect::Watch(watch) => {
                    self.watch.send_replace(watch);
                }
                Effect::ReadListeners => self.hands.tables.want(),
                Effect::Reconcile => self.hands.reconcile(self.core.policy().units_and_services()),
                Effect::TellState => self.tell_state(),
            }
        }
    }

    pub(super) fn order(&mut self, order: Order) {
        match order {
            Order::Ask(ask) => {
                let core = &self.core;
                let places = core.own_places(&ask.service);
                self.hands.ask(ask, &places, |service, port| core.own_address(service, Port(port)));
            }
            Order::Act(act) => {
                crash::at(Point::Decided);
                if let Some(act) = self.memory.before(clock::now(), act) {
                    self.act(act);
                }
            }
            Order::Look(look) => {
                let places = self.core.own_places(&look.service);
                self.hands.look(look, places);
            }
            Order::Tell(tell) if matches!(tell.decision, Decision::End(_)) => {
                crash::at(Point::Recovered);
                self.write(&Record::from(&tell));
                self.notify.offer(&tell);
                self.memory.input(clock::now(), &Input::Wake); // what follows an end says that it was told
            }
            Order::Tell(tell) => {
                self.write(&Record::from(&tell));
                self.notify.offer(&tell);
            }
        }
    }

    fn table(&mut self, now: Mono, table: Table) -> Vec<Effect> {
        let news = self.listeners != table.listeners;
        self.listeners.clone_from(&table.listeners);
        let sign = Sign { at: table.at, source: Source::SockDiag, saw: Saw::Listeners(table.listeners) };
        if news {
            self.write(&Record::sign(&sign, None));
        }
        self.core.sign(now, &sign)
    }
}
