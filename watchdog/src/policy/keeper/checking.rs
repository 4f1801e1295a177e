//! What is looked up before a plan is carried out, and what of it stands against the plan.
//!
//! Every question is asked at once, and all must be answered: a hold names the first thing that stands against the plan, in
//! the order of [`Found`]. A look that does not come back in time stands against nothing, and its silence is a step of the story.
//! Each look has its own time, so that a stuck disk is not waited for as long as a program that is run.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Desk, Hold, Keeper, Kind, Plan, Stage,
    decide::{ASK_AGAIN, FRESH},
    ladder::{Against, Rung},
    words,
};
use crate::model::{Holder, Known, Moment, Mono, OrderId, PidStamp, Question};

/// What the kernel tells is known in microseconds, and what must be measured in a fifth of a second.
const QUICK: Duration = Duration::from_millis(500);
/// On a host under pressure a look at the pressure is slow, too: before something that lives is stopped it has more time, and
/// before what was started in vain is started again.
const PRESSED: Duration = Duration::from_secs(5);
/// After a start that failed there is time to search all processes of the host.
const SEARCH: Duration = Duration::from_secs(2);

/// Longer than watchdog gives itself to answer.
const OURSELVES: Duration = Duration::from_secs(2);
/// A program that is run says yes or no within ten seconds, or is ended.
pub(super) const PROGRAM: Duration = Duration::from_secs(15);

/// Looks on their way, and what has come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checking {
    pub(super) plan: Plan,
    pub(super) rule: String,
    pub(super) rung: Rung,
    /// What is asked, and until when its answer is waited for.
    open: BTreeMap<OrderId, (Question, Mono)>,
    pub(super) found: Found,
}

impl Checking {
    /// When the next of the looks has had its time.
    pub(super) fn until(&self) -> Mono {
        self.open.values().map(|(_, until)| *until).min().unwrap_or_default()
    }
}

/// What stands against the plan, the weightiest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    others: Option<Hold>,
    port_held: Option<String>,
    gate: Option<Hold>,
    unfit: Option<Hold>,
    ourselves: Option<Hold>,
    /// Nobody said yet whether a port is held.
    ports_unknown: bool,
    pub(super) instance: Option<String>,
    /// Nothing that stands against it: a PID file that is to be removed first.
    pub(super) stale: Option<PidStamp>,
    /// The first thing that stands against a reboot.
    pub(super) reboot: Option<(Against, Mono)>,
}

impl Keeper {
    /// Looks up what must be known; with nothing to look up, it is done at once.
    pub(super) fn check(&mut self, desk: &mut Desk<'_>, plan: Plan, rule: String, rung: Rung) {
        let questions = match rung {
            Rung::Unit => self.questions(desk, plan),
            Rung::Host => self.questions_before_a_reboot(desk, plan),
        };
        let ports_unknown = questions.contains(&Question::Holders);
        let evidence = match (rung, plan) {
            (Rung::Unit, Plan::Restart) => self.record(desk, Moment::Restart),
            (Rung::Unit, Plan::Start) => {
                self.record(desk, Moment::Death); // which nothing waits for
                None
            }
            (Rung::Host, _) => None,
        };
        let calm = plan == Plan::Restart || self.tries.again();
        let ask =
            |question: Question| (self.look(desk, question), (question, desk.now + patience(calm, question)));
        let open = questions.into_iter().map(ask).chain(evidence).collect();
        let found = Found { ports_unknown, ..Found::default() };
        self.stage = Stage::Checking(Checking { plan, rule, rung, open, found });
        if plan == Plan::Restart && self.wanted.is_none() {
            self.begin(desk.now, Kind::Linger); // it may be well again before all is known
        }
        self.all_checked(desk);
    }

    /// What must be known before this plan.
    fn questions(&self, desk: &Desk<'_>, plan: Plan) -> Vec<Question> {
        let mut questions = vec![Question::Others];
        // with socket activation its ports are held by systemd, for it
        let by_socket = self.unit.as_ref().is_some_and(|unit| unit.socket_activated);
        if (plan == Plan::Start || self.listener_lost) && !by_socket {
            questions.push(Question::Holders);
        }
        if plan == Plan::Restart && desk.common.is_on(&self.service) {
            questions.push(Question::Ourselves);
        }
        if plan == Plan::Restart && self.guard.preflight.is_some() {
            questions.push(Question::Preflight);
        }
        if desk.host.gates.any() {
            questions.push(Question::Pressure);
        }
        if plan == Plan::Start && self.suspects_pid_file() {
            questions.push(Question::PidFile);
        }
        questions
    }

    /// An answer came, or the word that there is none.
    pub(super) fn checked(&mut self, desk: &mut Desk<'_>, order: OrderId, known: &Known) {
        let Stage::Checking(checking) = &mut self.stage else { return };
        if checking.open.remove(&order).is_none() {
            return;
        }
        let (plan, rung) = (checking.plan, checking.rung);
        if rung == Rung::Host {
            self.checked_before_a_reboot(desk, plan, known);
            self.all_checked(desk);
            return;
        }
        match known {
            Known::Holders(holders) => self.holders(desk, holders),
            Known::Pressure(pressure) => {
                let gate = self.gate(desk, plan, pressure);
                if let Stage::Checking(checking) = &mut self.stage {
                    checking.found.gate = gate;
                }
            }
            Known::Ourselves { fault } => {
                self.asked_ourselves(desk, fault.as_deref());
            }
            Known::Preflight(preflight) => {
                let unfit = self.preflight(desk, preflight);
                if let Stage::Checking(checking) = &mut self.stage {
                    checking.found.unfit = unfit;
                }
            }
            Known::PidFile(file) => self.pid_file(desk, file.as_deref()),
            Known::Others(others) => {
                let hold = self.others(desk, plan, others);
                if let Stage::Checking(checking) = &mut self.stage {
                    checking.found.others = hold;
                }
            }
            Known::Unit(_)
            | Known::LastWords(_)
            | Known::MainProcess { .. }
            | Known::Recorded(_)
            | Known::Asked { .. }
            | Known::Fronts(_)
            | Known::Nothing { .. } => {}
        }
        self.all_checked(desk);
    }

    /// What did not come back in time stands against nothing.
    pub(super) fn unchecked(&mut self, desk: &mut Desk<'_>) {
        let Stage::Checking(checking) = &mut self.stage else { return };
        let (mut missing, now) = (Vec::new(), desk.now);
        checking.open.retain(|_, (question, until)| {
            let waits = *until > now;
            if !waits {
                missing.push(*question);
            }
            waits
        });
        if missing.is_empty() {
            return;
        }
        let silent = missing.contains(&Question::Ourselves);
        if checking.rung == Rung::Host {
            self.not_known_before_a_reboot(desk, missing[0]);
            self.all_checked(desk);
            return;
        }
        let missing = missing.into_iter().map(words::question).collect::<Vec<_>>().join(", ");
        self.step(desk.now, format!("not known in time: {missing}"));
        if silent {
            // of all looks the one whose silence is an answer
            self.asked_ourselves(desk, Some("it did not come back in time"));
        }
        self.all_checked(desk);
    }

    fn all_checked(&mut self, desk: &mut Desk<'_>) {
        let Stage::Checking(checking) = &mut self.stage else { return };
        if !checking.open.is_empty() {
            return;
        }
        let (plan, rule) = (checking.plan, checking.rule.clone());
        let (rung, found) = (checking.rung, std::mem::take(&mut checking.found));
        if rung == Rung::Host {
            self.climbed(desk, plan, rule, found.reboot);
            return;
        }
        let Found { others, port_held, ports_unknown, instance, gate, unfit, stale, ourselves, reboot: _ } =
            found;
        if let Some(hold) = others {
            let until = self.others_until(desk, plan);
            self.hold_for(desk, plan, rule, hold, until);
            return;
        }
        if let Some(by) = port_held {
            let until = desk.now + ASK_AGAIN;
            self.hold_for(desk, plan, rule, Hold::PortHeld { by }, until);
            return;
        }
        if let Some(by) = instance {
            let until = desk.now + ASK_AGAIN;
            self.hold_for(desk, plan, rule, Hold::Instance { by }, until);
            return;
        }
        if let Some(hold) = gate {
            let until = self.gate_until(desk, desk.now + ASK_AGAIN);
            self.hold_for(desk, plan, rule, hold, until);
            return;
        }
        if let Some(hold) = ourselves.or(unfit) {
            self.hold_for(desk, plan, rule, hold, desk.now + ASK_AGAIN);
            return;
        }
        let patience = if self.guard.preflight.is_some() { PROGRAM } else { PRESSED };
        let old = desk.now.since(self.dead_at) > FRESH + patience;
        if plan == Plan::Restart && old && self.wanted.is_none() {
            self.ask_again(desk);
            return;
        }
        // who cannot be seen may be an instance too
        self.act_or_hold(desk, plan, rule, stale.filter(|_| !ports_unknown));
    }

    fn asked_ourselves(&mut self, desk: &mut Desk<'_>, fault: Option<&str>) {
        let hold = self.ourselves(desk, fault);
        if let Stage::Checking(checking) = &mut self.stage {
            checking.found.ourselves = hold;
        }
    }

    /// Who holds the ports that a start needs.
    fn holders(&mut self, desk: &mut Desk<'_>, holders: &[Holder]) {
        let own = self.cgroup;
        let other = holders.iter().find(|holder| holder.cgroup.is_none() || holder.cgroup != own);
        let by = other.map(words::holder);
        if let Some(by) = by.as_ref().filter(|by| self.port_held_by.as_ref() != Some(*by)) {
            self.alert(desk, format!("not started: {by}; stop that program, or give it to the unit"));
            self.port_held_by = Some(by.clone());
        }
        if let Stage::Checking(checking) = &mut self.stage {
            (checking.found.port_held, checking.found.ports_unknown) = (by, false);
        }
    }
}

/// How long a plan waits for this answer; a `calm` one is not the first help for what is dead.
fn patience(calm: bool, question: Question) -> Duration {
    match question {
        Question::Pressure if calm => PRESSED,
        Question::Unit
        | Question::Holders
        | Question::Pressure
        | Question::Others
        | Question::MainProcess => QUICK,
        Question::Ourselves => OURSELVES,
        Question::Preflight => PROGRAM,
        Question::PidFile | Question::LastWords | Question::Record { .. } => SEARCH,
    }
}
