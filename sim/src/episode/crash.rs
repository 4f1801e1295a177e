//! Deaths of watchdog, at any point between a decision and its confirmation, and its successor.

use std::time::Duration;

use watchdog::{
    engine::{Core, Effect},
    model::{Act, Order, Saw, Source},
    policy::Policy,
};

use super::{Episode, Event};
use crate::{
    books::Told,
    judge::Judge,
    subject::{self, orders},
    words,
};

/// At one death of so many its twin reads its state back from the text, as a replay does: that costs as much as hundreds of
/// steps.
const THROUGH_TEXT: u64 = 4;

/// Where it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    /// It has decided, and neither the input nor the decision is stored.
    NotStored,
    /// Stored, and nothing of it has been requested.
    NotRequested,
    /// Requested; of the replies nothing has been heard.
    Requested,
}

impl Point {
    pub(super) const ALL: [Point; 3] = [Point::NotStored, Point::NotRequested, Point::Requested];
}

impl Episode {
    /// What it had decided is known to nobody.
    pub(super) fn die_before(&mut self, (stored, judge, unanswered): (Policy, Judge, Vec<Act>)) {
        self.unanswered = unanswered; // a reply that was not stored was not heard
        let broken = self.judge.broken.take();
        self.judge = judge;
        self.judge.broken = broken;
        self.tally.count("crash", "not stored");
        self.bury(stored);
    }

    pub(super) fn die(&mut self, point: Point, effects: Vec<Effect>) {
        match point {
            Point::NotStored | Point::NotRequested => {
                self.tally.count("crash", "not requested");
                let acts = orders(&effects).filter_map(|order| match order {
                    Order::Act(act) => Some(act.clone()),
                    Order::Ask(_) | Order::Look(_) | Order::Tell(_) => None,
                });
                self.unanswered.extend(acts);
            }
            Point::Requested => {
                self.tally.count("crash", "requested");
                self.carry_out(effects);
            }
        }
        let stored = self.subject.stored(self.now, &self.current.policy);
        self.bury(stored);
    }

    fn bury(&mut self, stored: Policy) {
        self.line(|now| format!("{now} # watchdog dies"));
        let down = self.dice.spread(Duration::from_millis(50), Duration::from_secs(60));
        let back = self.now + down;
        self.dead = Some(Box::new(stored));
        self.busy_until = self.now;
        self.table_ordered = false;
        self.guesses |= !self.unanswered.is_empty();
        // systemd reads what has arrived, or does not
        for event in self.queue.orphan(back) {
            if let Event::Request(act) = event
                && self.dice.coin()
            {
                self.obey(&act);
                self.heed();
            }
        }
        self.judge.books.died(&self.unanswered);
        self.queue.push(back, Event::Successor);
    }

    /// The successor goes on with what was stored, and reads everything anew.
    pub(super) fn succeed(&mut self) {
        let Some(stored) = self.dead.take() else { return };
        self.line(|now| format!("{now} # its successor"));
        let (settings, suspicion) = (self.current.policy.clone(), self.current.suspicion.clone());
        let seed = self.dice.next();
        if let Some(twin) = &mut self.twin {
            let mut read =
                if self.steps.is_multiple_of(THROUGH_TEXT) { reread(&stored) } else { (*stored).clone() };
            subject::back(self.now, &mut read, settings.clone(), seed);
            *twin = Core::with(read, suspicion.clone());
        }
        self.words_due = self.words_due.max(self.now);
        self.judge.books.told(self.now, Told::Settings(&settings));
        self.steps += 1;
        let ordered = self.subject.resume(self.now, *stored, &settings, suspicion, seed);
        let effects: Vec<Effect> = ordered.into_iter().map(Effect::Order).collect();
        for effect in &effects {
            self.line(|now| format!("{now}   > {}", words::effect(effect)));
        }
        self.judge.ordered(self.now, orders(&effects));
        self.carry_out(effects);
        self.unanswered.clear();
        let loss = watchdog::model::Loss { lost: 0, place: "watchdog was dead".to_owned() };
        let sign = watchdog::model::Sign { at: self.now, source: Source::Units, saw: Saw::Loss(loss) };
        self.step(Told::Sign(&sign));
        self.order_table();
    }
}

fn reread(stored: &Policy) -> Policy {
    let text = serde_json::to_string(stored).expect("a state can be written");
    serde_json::from_str(&text).expect("a state can be read")
}
