//! A recorded stream told to the policy again: the same decisions and actions, bit for bit, or each difference with its line.
//!
//! Begins at a `.state` and feeds every input at the moment at which the policy took it. What was due between two inputs
//! needs no record: the policy is woken for it at its own moment. At the next `.state` the two are compared, and it goes on
//! from the recorded one.
//! Invariant: nothing is guessed. Behind a gap (`.loss`, a line that cannot be read, another run of watchdog) nothing is
//! told before the next state.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    io::{self, BufRead},
    time::Duration,
};

use serde::{Deserialize as _, Serialize};
use serde_json::Value;

use crate::{
    model::{Act, Command, Mono, Order, OrderId, Tell},
    policy::{Input, Policy},
    stream::{self, Line, Record, Said, sentence},
};

/// An action is recorded when it is requested: soon after its decision, or the stream ends between them.
const REQUESTED: Duration = Duration::from_secs(1);
/// Enough to see what went wrong: after so many in a row the next state is waited for.
const TOLD: usize = 20;

/// What a replay found.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replay {
    /// How many stretches were told, each from a state up to the next gap.
    pub stretches: u64,
    /// States that a replayed one was compared with.
    pub states: u64,
    /// Inputs told.
    pub inputs: u64,
    /// Decisions that are the same.
    pub decisions: u64,
    /// Actions that are the same.
    pub actions: u64,
    /// Where the records disagree with what the policy decides.
    pub differences: Vec<Difference>,
    /// What could not be replayed, and why.
    pub gaps: Vec<Gap>,
}

/// Where the record and the policy disagree.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The line, counted from 1.
    pub line: u64,
    /// What is recorded; `None` where a record is missing.
    pub recorded: Option<String>,
    /// What the policy decides; `None` where it decides nothing.
    pub replayed: Option<String>,
}

/// A place that cannot be stepped over.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The line, counted from 1.
    pub line: u64,
    /// Why.
    pub why: String,
}

impl Replay {
    /// All that could be replayed is as recorded, and there was something to replay.
    pub fn is_same(&self) -> bool {
        let told = self.stretches > 0 && (self.inputs > 0 || self.gaps.is_empty());
        told && self.differences.is_empty()
    }
}

/// Replays a stream from the first state at or after this line (counted from 1).
///
/// # Errors
/// The stream cannot be read. What is no record is a gap.
pub fn replay(lines: impl BufRead, from: u64) -> io::Result<Replay> {
    let mut replay = Replay::default();
    let mut lines = Lines { lines: lines.lines(), number: 0, ahead: VecDeque::new() };
    let mut stretch: Option<Stretch> = None;
    while let Some((number, line)) = lines.next()? {
        if number < from {
            continue;
        }
        let line = match line {
            Ok(line) => line,
            Err(why) => {
                replay.gap(number, why, stretch.take());
                continue;
            }
        };
        let other_run = stretch.as_ref().is_some_and(|it| it.run != run(&line));
        if other_run {
            replay.end(number, stretch.take());
        }
        match (&line.record.said, &mut stretch) {
            (Said::State(state), known) => match Policy::deserialize(state) {
                Ok(policy) => {
                    match known {
                        Some(known) => replay.compare(known, number, state),
                        None => replay.stretches += 1,
                    }
                    stretch = Some(Stretch::new(run(&line), policy, known.take(), replay.differences.len()));
                }
                Err(fault) => {
                    let why = format!("cannot read this state: {fault} (another version of watchdog?)");
                    replay.gap(number, why, stretch.take());
                }
            },
            (Said::Loss(_), _) => replay.gap(number, sentence(&line.record), stretch.take()),
            (_, None) => {}
            (Said::Command(Command::Reload { faults: None }), Some(_)) => {
                let settings = lines.settings_after(&run(&line))?;
                replay.put(&mut stretch, number, &line.record, settings);
            }
            (_, Some(_)) => replay.line(&mut stretch, number, &line.record),
        }
    }
    let last = lines.number;
    replay.end(last, stretch);
    Ok(replay)
}

impl Replay {
    fn line(&mut self, stretch: &mut Option<Stretch>, number: u64, record: &Record) {
        match &record.said {
            Said::Decision(tell) => {
                let Some(it) = stretch else { return };
                it.catch_up(tell.at);
                self.decision(it, number, tell, record);
            }
            Said::Action(act) => {
                let Some(it) = stretch else { return };
                match it.acts.remove(&act.id) {
                    Some((_, decided)) if decided == *act => self.actions += 1,
                    None if act.id <= it.first => {}
                    decided => {
                        let replayed = decided.map(|(_, act)| sentence(&Record::action(record.at, &act)));
                        self.differ(number, Some(sentence(record)), replayed);
                    }
                }
            }
            Said::Sign(sign) => {
                if let Some(input) = Input::of(sign) {
                    self.put(stretch, number, record, Ok(input));
                }
            }
            Said::Fact(fact) => self.put(stretch, number, record, Ok(Input::Fact(fact.clone()))),
            Said::Suspicion(it) => self.put(stretch, number, record, Ok(Input::Suspicion(it.clone()))),
            Said::Heartbeat(answer) => {
                self.put(stretch, number, record, Ok(Input::Answer(Box::new(answer.clone()))));
            }
            Said::Outcome(outcome) => self.put(stretch, number, record, Ok(Input::Outcome(outcome.clone()))),
            Said::Command(Command::Reload { .. }) => {} // the old settings stay, or the caller knows the new ones
            Said::Command(command) => self.put(stretch, number, record, Ok(Input::Command(command.clone()))),
            Said::Audit(_) | Said::Notified(_) | Said::Loss(_) | Said::State(_) => {}
        }
        if stretch.as_ref().is_some_and(|it| self.differences.len() - it.before >= TOLD) {
            self.gap(number, "too many differences in a row".to_owned(), stretch.take());
        }
    }

    /// Tells the policy one input, once all that was due before it is recorded.
    fn put(
        &mut self,
        stretch: &mut Option<Stretch>,
        number: u64,
        record: &Record,
        input: Result<Input, String>,
    ) {
        let Some(it) = stretch else { return };
        let (input, taken) = match (input, record.taken) {
            (Ok(input), Some(taken)) => (input, taken),
            (Err(why), _) => return self.gap(number, why, stretch.take()),
            (Ok(_), None) => {
                let why = "this input does not say when the policy took it (an older version of watchdog?)";
                return self.gap(number, why.to_owned(), stretch.take());
            }
        };
        if input != Input::HeldUp {
            it.catch_up(taken);
        }
        self.unrecorded(it, number);
        let orders = it.policy.step(taken, input);
        it.ordered(taken, orders);
        self.inputs += 1;
    }

    fn decision(&mut self, it: &mut Stretch, number: u64, tell: &Tell, record: &Record) {
        let Some(at) = it.tells.iter().position(|decided| decided == tell) else {
            let replayed = it.tells.pop_front();
            let replayed = replayed.map(|tell| sentence(&Record::from(&tell)));
            self.differ(number, Some(sentence(record)), replayed);
            return;
        };
        for missing in it.tells.drain(..at) {
            self.differ(number, None, Some(sentence(&Record::from(&missing))));
        }
        it.tells.pop_front();
        self.decisions += 1;
    }

    /// What the policy decided, and no record before this line tells.
    fn unrecorded(&mut self, it: &mut Stretch, number: u64) {
        for tell in it.tells.drain(..) {
            self.differ(number, None, Some(sentence(&Record::from(&tell))));
        }
        while let Some((_, (at, act))) = it.acts.first_key_value() {
            if it.now.since(*at) < REQUESTED {
                return;
            }
            self.differ(number, None, Some(sentence(&Record::action(*at, act))));
            it.acts.pop_first();
        }
    }

    fn compare(&mut self, it: &mut Stretch, number: u64, recorded: &Value) {
        it.catch_up(last_step(recorded));
        self.unrecorded(it, number);
        self.states += 1;
        match serde_json::to_value(&it.policy) {
            Ok(replayed) if replayed == *recorded => {}
            Ok(replayed) => {
                let (place, recorded, replayed) = first_difference(recorded, &replayed, String::new());
                let told = |value: &Value| Some(format!("state, {place}: {value}"));
                self.differ(number, told(recorded), told(replayed));
            }
            Err(fault) => self.differ(number, None, Some(fault.to_string())),
        }
    }

    fn differ(&mut self, line: u64, recorded: Option<String>, replayed: Option<String>) {
        self.differences.push(Difference { line, recorded, replayed });
    }

    fn gap(&mut self, line: u64, why: String, stretch: Option<Stretch>) {
        if stretch.is_some() || why.starts_with("cannot") {
            self.gaps.push(Gap { line, why });
        }
        self.end(line, stretch);
    }

    /// Nothing more of it is recorded: what it decided last may be among what is missing.
    fn end(&mut self, number: u64, stretch: Option<Stretch>) {
        let Some(mut it) = stretch else { return };
        it.tells.clear();
        self.unrecorded(&mut it, number);
    }
}

/// What follows one state.
struct Stretch {
    run: String,
    policy: Policy,
    /// The last moment that was told.
    now: Mono,
    /// Decisions that are still to be found in the record, in their order.
    tells: VecDeque<Tell>,
    /// Actions that are, and when each was decided: a request may wait for the store, so they have no order of their own.
    acts: BTreeMap<OrderId, (Mono, Act)>,
    /// The last order before it: its action may be recorded later.
    first: OrderId,
    /// Differences before it.
    before: usize,
}

impl Stretch {
    fn new(run: String, policy: Policy, known: Option<Stretch>, before: usize) -> Stretch {
        let now = policy.last();
        let (acts, first) = known.map_or((BTreeMap::new(), policy.last_order()), |it| (it.acts, it.first));
        Stretch { run, policy, now, tells: VecDeque::new(), acts, first, before }
    }

    fn catch_up(&mut self, now: Mono) {
        let orders = self.policy.catch_up(now);
        self.ordered(now, orders);
    }

    fn ordered(&mut self, now: Mono, orders: Vec<Order>) {
        self.now = self.now.max(now);
        for order in orders {
            match order {
                Order::Tell(tell) => self.tells.push_back(tell),
                Order::Act(act) => {
                    self.acts.insert(act.id, (now, act));
                }
                Order::Ask(_) | Order::Look(_) => {}
            }
        }
    }
}

type Numbered = (u64, Result<Line, String>);

/// The lines of a stream, some of them read ahead.
struct Lines<L> {
    lines: L,
    number: u64,
    ahead: VecDeque<Numbered>,
}

impl<L: Iterator<Item = io::Result<String>>> Lines<L> {
    fn next(&mut self) -> io::Result<Option<Numbered>> {
        match self.ahead.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.read(),
        }
    }

    fn read(&mut self) -> io::Result<Option<Numbered>> {
        let Some(text) = self.lines.next().transpose()? else { return Ok(None) };
        self.number += 1;
        Ok(Some((self.number, stream::read(&text).map_err(|fault| fault.to_string()))))
    }

    /// The settings that a reload put in force: the next state tells them.
    fn settings_after(&mut self, own_run: &str) -> io::Result<Result<Input, String>> {
        let state = |(_, line): &Numbered| match line {
            Ok(Line { record: Record { said: Said::State(state), .. }, id, .. })
                if id.starts_with(own_run) =>
            {
                Policy::deserialize(state).ok()
            }
            Ok(_) | Err(_) => None,
        };
        let mut found = self.ahead.iter().find_map(state);
        while found.is_none() {
            let Some(line) = self.read()? else { break };
            found = state(&line);
            self.ahead.push_back(line);
        }
        let settings = found.map(|policy| Input::Settings(Box::new(policy.settings())));
        Ok(settings
            .ok_or_else(|| "other settings are in force, and no state behind this tells them".to_owned()))
    }
}

/// Which run of watchdog wrote a line.
fn run(line: &Line) -> String {
    line.id.rsplit_once('-').map_or(line.id.as_str(), |(run, _)| run).to_owned()
}

fn last_step(state: &Value) -> Mono {
    Mono::deserialize(&state["last"]).unwrap_or_default()
}

/// Where two values differ first, as a path of keys.
fn first_difference<'a>(one: &'a Value, other: &'a Value, place: String) -> (String, &'a Value, &'a Value) {
    const NOTHING: &Value = &Value::Null;
    let deeper = match (one, other) {
        (Value::Object(one), Value::Object(other)) => one
            .keys()
            .chain(other.keys())
            .map(|key| (key.clone(), one.get(key), other.get(key)))
            .find(|(_, one, other)| one != other),
        (Value::Array(one), Value::Array(other)) => (0..one.len().max(other.len()))
            .map(|at| (at.to_string(), one.get(at), other.get(at)))
            .find(|(_, one, other)| one != other),
        _ => None,
    };
    match deeper {
        Some((key, one, other)) => {
            first_difference(one.unwrap_or(NOTHING), other.unwrap_or(NOTHING), format!("{place}/{key}"))
        }
        None => (place, one, other),
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for gap in &self.gaps {
            writeln!(f, "line {}: not stepped over: {}; goes on at the next state", gap.line, gap.why)?;
        }
        for Difference { line, recorded, replayed } in &self.differences {
            writeln!(f, "line {line}:")?;
            writeln!(f, "  recorded: {}", recorded.as_deref().unwrap_or("nothing"))?;
            writeln!(f, "  replayed: {}", replayed.as_deref().unwrap_or("nothing"))?;
        }
        let Replay { stretches, states, inputs, decisions, actions, .. } = self;
        if *stretches == 0 {
            return f.write_str("nothing was replayed: there is no state to begin at");
        }
        let verdict = match self.differences.len() {
            0 => "no difference".to_owned(),
            1 => "1 difference".to_owned(),
            more => format!("{more} differences"),
        };
        write!(
            f,
            "{verdict}: {inputs} inputs told from {stretches} states on; {decisions} decisions, {actions} actions and {states} states are compared"
        )
    }
}
