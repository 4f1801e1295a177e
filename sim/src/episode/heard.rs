//! What watchdog hears of the host, and when: words of systemd in their order, records of the kernel, readings, the table.

use std::time::Duration;

use watchdog::model::{CgroupId, Exit, Job, Listener, Loss, Place, Saw, Sign, Source, Unit, UnitState};

use super::{Episode, Event};
use crate::{host::Word, scenario::port_of};

impl Episode {
    /// What the host let be heard, and what it waits for.
    pub(super) fn heed(&mut self) {
        for (at, unit, token) in std::mem::take(&mut self.host.alarms) {
            self.queue.push(at, Event::Alarm { unit, token });
        }
        for truth in std::mem::take(&mut self.host.truths) {
            self.line(|now| format!("{now} # {truth:?}"));
            self.judge.happened(self.now, &self.host, truth);
        }
        let mut words = std::mem::take(&mut self.host.words);
        for word in words.drain(..) {
            self.utter(word);
        }
        self.host.words = words;
    }

    fn utter(&mut self, word: Word) {
        let gap = self.trouble.gap;
        match word {
            Word::Exit { unit, pid, run, cause } => {
                if self.trouble.ring_loss || (self.dead.is_some() && self.dice.coin()) {
                    return;
                }
                let name = self.host.units[unit].name.as_str();
                let exit = Exit {
                    cgroup: CgroupId(u64::from(run)),
                    pid,
                    cause: Some(cause),
                    comm: name.to_owned(),
                    more: 0,
                };
                let sign = Box::new(Sign { at: self.now, source: Source::Ebpf, saw: Saw::Exit(exit) });
                let after = self.dice.spread(Duration::from_micros(50), Duration::from_millis(4));
                let at = self.now + after;
                self.queue.push_kept(at, Event::Sign(sign));
            }
            Word::State(_) | Word::Job { .. } if gap || self.dead.is_some() => {}
            Word::State(unit) => {
                let own = self.host.units[unit].name.clone();
                let alias = self.host.units[unit].alias.clone();
                for name in std::iter::once(own).chain(alias) {
                    let state = Box::new(self.host.units[unit].state(&name));
                    self.systemd_says(Saw::Unit(state));
                }
            }
            Word::Job { unit, id, step } => {
                let own = self.host.units[unit].name.clone();
                let alias = self.host.units[unit].alias.clone();
                for unit in std::iter::once(own).chain(alias) {
                    self.systemd_says(Saw::Job(Job { unit, id, step }));
                }
            }
        }
    }

    /// In the order of the one connection.
    pub(super) fn systemd_says(&mut self, saw: Saw) {
        let delay = match self.dice.below(4) {
            0..3 => Duration::from_micros(200),
            _ => self.dice.spread(Duration::from_micros(100), Duration::from_millis(20)),
        };
        self.words_due = self.words_due.max(self.now + delay);
        let sign = Box::new(Sign { at: self.now, source: Source::Units, saw });
        self.queue.push(self.words_due, Event::Sign(sign));
    }

    /// Every unit that is watched is read.
    pub(super) fn reconcile(&mut self) {
        if self.dead.is_some() {
            return;
        }
        for read in self.subject.policy().units_and_services() {
            let at = self.way_to_systemd();
            self.queue.push(at, Event::Read(Box::new(read)));
        }
    }

    pub(super) fn state_of(&self, unit: &Unit) -> Option<UnitState> {
        let named = |known: &&crate::host::SimUnit| known.name == *unit || known.alias.as_ref() == Some(unit);
        self.host.units.iter().find(named).map(|known| known.state(unit))
    }

    pub(super) fn order_table(&mut self) {
        if !std::mem::replace(&mut self.table_ordered, true) {
            self.queue.push(self.now + Duration::from_millis(3), Event::Table);
        }
    }

    pub(super) fn table(&self) -> Vec<Listener> {
        let units = self.host.units.iter().enumerate();
        let listening = units.filter(|(_, unit)| unit.active.is_up() || unit.socket);
        let listener = |(at, unit): (usize, &crate::host::SimUnit)| {
            let place = Place::Tcp(([0, 0, 0, 0], port_of(at)).into());
            let cgroup = unit.cgroup().filter(|_| !unit.socket);
            Listener { place, cgroup, queue: 0, limit: 128 }
        };
        listening.map(listener).collect()
    }

    pub(super) fn lost(&mut self, source: Source) {
        let loss = Loss { lost: 0, place: "simulated".to_owned() };
        let sign = Box::new(Sign { at: self.now, source, saw: Saw::Loss(loss) });
        self.queue.push(self.now.max(self.words_due), Event::Sign(sign));
    }
}
