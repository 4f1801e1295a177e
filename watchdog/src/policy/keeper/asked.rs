//! Heartbeats: when they are asked, and what their answers mean for the service.

use super::{
    Answer, Ask, Beat, Checking, Desk, Holding, IncidentEnd, Keeper, Kind, Mono, OnFailure, Order, Plan,
    Stage, Told, Verdict, words,
};
use crate::model::ActiveState;

impl Keeper {
    /// A heartbeat ended.
    pub(in crate::policy) fn answer(&mut self, desk: &mut Desk<'_>, answer: &Answer) {
        let well = self.needs_well_since(desk);
        let Some(beat) = self.beats.get_mut(answer.heartbeat) else { return };
        let before = beat.verdict;
        let told = beat.answer(desk.now, answer.order, answer.verdict, well);
        let on_failure = beat.pulse.on_failure;
        let stumbles = told == Told::Alive && beat.stumbles();
        if answer.verdict == Verdict::Alive {
            self.warn(desk, answer);
        }
        if stumbles {
            let words = words::answer(answer);
            self.alert(desk, format!("it fails and recovers again and again, never often enough in a row to be restarted; now: {words}"));
        }
        match told {
            Told::Open => {
                if answer.verdict != Verdict::Alive {
                    self.step(desk.now, words::answer(answer));
                }
                if answer.verdict == Verdict::Dead && self.stage == Stage::Up {
                    self.ask_what_it_leans_on(desk, answer.began);
                }
            }
            Told::Alive => self.alive(desk, answer),
            Told::Dead => match on_failure {
                OnFailure::Restart => self.dead(desk, answer),
                OnFailure::Alert => self.only_alerts(desk, answer, before != Some(Verdict::Dead)),
                OnFailure::Off => {}
            },
            Told::UnknownForLong => {
                self.alert(desk, format!("cannot tell whether it is alive: {}", words::answer(answer)));
            }
        }
    }

    /// Another service that stands behind this one wants to know whether this one is well.
    pub(in crate::policy) fn ask_now(&mut self, desk: &mut Desk<'_>) {
        if self.stage == Stage::Up {
            self.begin(desk.now, Kind::Confirm);
        }
    }

    /// Sends the heartbeats whose time has come.
    pub(in crate::policy) fn pump(&mut self, desk: &mut Desk<'_>) {
        self.give_up_lost(desk);
        let backstop = self.has_backstop();
        let incident = self.incident.as_ref().map(|incident| incident.id);
        let mut first_is_last = false;
        for (heartbeat, beat) in self.beats.iter_mut().enumerate() {
            if beat.wake_at(backstop).is_none_or(|at| desk.now < at) {
                continue;
            }
            let id = desk.ids.order();
            if beat.ask(desk.now, backstop, desk.seed, id) {
                let service = self.service.clone();
                desk.orders.push(Order::Ask(Ask { id, service, heartbeat, incident }));
                first_is_last |= beat.pulse.failures == 1;
            }
        }
        if first_is_last && matches!(self.stage, Stage::Up) {
            self.ask_what_it_leans_on(desk, desk.now);
        }
    }

    /// Clients are connecting: it is asked more often.
    pub(super) fn in_use(&mut self, now: Mono) {
        if self.stage != Stage::Up {
            return;
        }
        for beat in &mut self.beats {
            if beat.alive_at.is_none_or(|at| now.since(at) >= beat.pulse.every_in_use) {
                beat.begin(now, Kind::Confirm);
            }
        }
    }

    /// Something happened that only a heartbeat asked from now on can clear up.
    pub(super) fn doubt(&mut self, now: Mono, at: Mono) {
        self.beats.iter_mut().for_each(|beat| beat.doubt(now, at));
    }

    /// Every question that this incident raised was answered well: it has recovered where something was decided, and else it
    /// was a false alarm. Either end is told, for records bear its number.
    pub(super) fn calm(&mut self, desk: &mut Desk<'_>, why: String) {
        if self.stage != Stage::Up || self.beats.iter().any(Beat::is_asking) {
            return;
        }
        let well = self.restarting_beats().all(|beat| beat.verdict == Some(Verdict::Alive));
        let left = well && self.tries.healthy(desk.now, &self.guard, self.has_heartbeat());
        if left || self.incident.as_ref().is_some_and(|incident| incident.told) {
            self.open(desk, desk.now);
            self.recovered(desk, why);
        } else {
            // a false alarm: nothing was wrong with it, or not for long enough
            self.step(desk.now, format!("left alone: {why}"));
            self.end_incident(desk, IncidentEnd::StoodDown);
        }
    }

    /// It is well again.
    pub(super) fn recovered(&mut self, desk: &mut Desk<'_>, why: String) {
        let proven = self.has_heartbeat();
        if self.incident.is_none() && self.tries.in_quarantine() && proven {
            self.open(desk, desk.now);
        }
        self.step(desk.now, format!("recovered: {why}"));
        self.well_since = Some(desk.now);
        (self.in_vain, self.gated, self.unfit, self.at_work) = (false, None, None, None);
        self.listener_lost = false;
        self.climb.afresh();
        self.seldom.clear();
        desk.common.over(&self.service);
        self.stage = Stage::Up;
        self.quiet_beats();
        self.tries.healthy(desk.now, &self.guard, proven);
        let ours = self.incident.as_ref().is_some_and(|incident| incident.restarts > 0);
        let superseded = std::mem::take(&mut self.other_hand) && !ours;
        self.end_incident(desk, if superseded { IncidentEnd::Superseded } else { IncidentEnd::Recovered });
    }

    pub(super) fn has_heartbeat(&self) -> bool {
        self.beats.iter().any(|beat| !beat.is_off())
    }

    pub(super) fn has_backstop(&self) -> bool {
        matches!(self.stage, Stage::Up)
    }

    pub(super) fn begin(&mut self, now: Mono, kind: Kind) {
        self.beats.iter_mut().for_each(|beat| beat.begin(now, kind));
    }

    pub(super) fn quiet_beats(&mut self) {
        self.beats.iter_mut().for_each(Beat::stop);
    }

    fn restarting_beats(&self) -> impl Iterator<Item = &Beat> {
        self.beats.iter().filter(|beat| beat.pulse.on_failure == OnFailure::Restart)
    }

    /// Until when failures do not count, for the unit says that it reloads. A reload that never ends is no excuse.
    fn reloads_until(&self) -> Option<Mono> {
        let says = self.unit.as_ref().is_some_and(|unit| unit.active == ActiveState::Reloading);
        Some(self.reloading.filter(|_| says)? + self.guard.grace)
    }

    /// A good heartbeat, which ends what it can end.
    fn alive(&mut self, desk: &mut Desk<'_>, answer: &Answer) {
        if self.reloads_until().is_none() {
            self.reloading = None;
        }
        match &self.stage {
            Stage::Checking(_) | Stage::Holding(_) if self.wanted.is_some() => {}
            Stage::Up => self.calm(desk, words::answer(answer)),
            Stage::Proving { since, .. } => {
                let since = *since;
                if self.restarting_beats().all(|beat| beat.alive_at.is_some_and(|at| at >= since)) {
                    self.recovered(desk, words::answer(answer));
                }
            }
            Stage::Checking(Checking { plan: Plan::Restart, .. })
            | Stage::Holding(Holding { plan: Plan::Restart, .. }) => {
                if self.restarting_beats().all(|beat| beat.verdict == Some(Verdict::Alive)) {
                    let story = format!("{}: well again without our help", words::answer(answer));
                    self.recovered(desk, story);
                } else {
                    self.begin(desk.now, Kind::Linger);
                }
            }
            Stage::New
            | Stage::Down
            | Stage::Ending { .. }
            | Stage::Checking(_)
            | Stage::Holding(_)
            | Stage::Acting(_) => {}
        }
    }

    fn dead(&mut self, desk: &mut Desk<'_>, answer: &Answer) {
        let told = words::answer(answer);
        match &self.stage {
            Stage::Up | Stage::Proving { .. } => {
                self.open(desk, answer.began);
                self.step(desk.now, told.clone());
                self.dead_at = desk.now;
                self.tries.sick(desk.now, &self.guard);
                self.in_vain |= self.incident.as_ref().is_some_and(|incident| incident.restarts > 0);
                let failures = self.beats.get(answer.heartbeat).map_or(1, |beat| beat.pulse.failures);
                self.quiet_beats();
                if let Some(until) = self.reloads_until().filter(|until| *until > desk.now) {
                    self.step(desk.now, "the unit says that it reloads: failures do not count yet");
                    self.stage = Stage::Proving { since: desk.now, until };
                    self.begin(desk.now, Kind::Probe);
                    return;
                }
                let rule = match failures {
                    1 => format!("heartbeat failed: {told}"),
                    _ => format!("heartbeat failed {failures} times in a row: {told}"),
                };
                self.fails_with_others(desk);
                self.decide(desk, Plan::Restart, rule);
            }
            Stage::New
            | Stage::Down
            | Stage::Ending { .. }
            | Stage::Checking(_)
            | Stage::Holding(_)
            | Stage::Acting(_) => self.step(desk.now, told),
        }
    }

    /// A heartbeat that leads to no restart failed; told once until it is well again.
    fn only_alerts(&mut self, desk: &mut Desk<'_>, answer: &Answer, news: bool) {
        let told = words::answer(answer);
        self.step(desk.now, told.clone());
        if news {
            self.alert(desk, format!("{told}: no restart, for this heartbeat only alerts"));
        }
        if matches!(self.stage, Stage::Proving { .. }) && self.restarting_beats().next().is_none() {
            self.recovered(desk, "the unit is active (its heartbeats only alert)".to_owned());
        } else {
            self.calm(desk, told);
        }
    }

    /// Answers that do not come any more are unknown: a question never waits for ever.
    fn give_up_lost(&mut self, desk: &mut Desk<'_>) {
        let mut told = false;
        for beat in &mut self.beats {
            while let Some(id) = beat.lost(desk.now) {
                told |= beat.answer(desk.now, id, Verdict::Unknown, None) == Told::UnknownForLong;
            }
        }
        if told {
            self.alert(desk, "cannot tell whether it is alive: its heartbeats do not end".to_owned());
        }
    }

    /// What is worth telling beside an answer, once until it changes.
    fn warn(&mut self, desk: &mut Desk<'_>, answer: &Answer) {
        let warned = self.warned.entry(answer.heartbeat).or_default();
        if *warned == answer.warnings {
            return;
        }
        warned.clone_from(&answer.warnings);
        for warning in &answer.warnings {
            self.alert(desk, format!("{}: {warning}", answer.asked));
        }
    }
}
