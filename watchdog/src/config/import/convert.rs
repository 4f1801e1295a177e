//! Gives every statement its fate, and every service its tables.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Answers, At,
    blocks::{Block, Blocks, Home},
    change::Change,
    check, depends,
    draft::{self, Draft, Section, text},
    global, host, mail,
    model::{Action, Check, Kind, Test},
    report::{Account, Changed, Fate, Kept, Place, Report},
    source::{Said, Script},
    unit, write,
};

/// Changes, each with the statements that show it.
pub(super) type Changes = BTreeMap<Change, BTreeSet<At>>;

/// What one statement of a check is seen in.
pub(super) struct Frame<'a> {
    pub(super) draft: &'a mut Draft,
    pub(super) check: &'a Check,
    pub(super) block: &'a Block<'a>,
    pub(super) at: At,
    /// Seconds between two looks of monit at this check.
    pub(super) cycle: u64,
    changes: &'a mut Changes,
}

impl Frame<'_> {
    pub(super) fn change(&mut self, change: Change) {
        self.changes.entry(change).or_default().insert(self.at);
    }

    /// `[service.NAME.TABLE]`
    pub(super) fn table(&self, table: &str) -> String {
        format!("[service.{}.{table}]", write::key(&self.draft.name))
    }

    /// Adds a heartbeat, unless the same is asked already.
    pub(super) fn beat(&mut self, beat: Section) {
        if self.draft.beats.iter().all(|other| !other.says_the_same(&beat)) {
            self.draft.beats.push(beat);
        }
    }

    /// A command that restarts this very unit.
    pub(super) fn is_own_restart(&self, command: &str) -> bool {
        unit::of(command).is_some_and(|does| {
            does.unit == self.draft.unit && ["start", "restart", "try-restart"].contains(&does.verb.as_str())
        })
    }

    /// monit could have restarted it: it is active, and has a program for it (or the action is one).
    pub(super) fn may_restart(&self, action: &Action) -> bool {
        !self.block.is_passive() && (self.block.has_start() || matches!(action, Action::Exec(_)))
    }
}

/// Every statement gets its fate, every service its tables. `cycle`: seconds, where no `set daemon` says them.
pub(super) fn convert(script: &Script, answers: &Answers, cycle: Option<u64>) -> Report {
    let blocks = Blocks::new(script, answers);
    let mut changes = Changes::new();
    let cycle = global::cycle(script, cycle, &mut changes);
    let mut fates: Vec<Option<Fate>> = script.said.iter().map(|said| said.fate.clone()).collect();
    let mails = mail::tables(script, &blocks.outside, &mut fates, &mut changes);
    for index in &blocks.outside {
        if let Some(said) = script.said.get(*index) {
            settle(&mut fates, *index, global::fate(said));
        }
    }
    let (mut drafts, homes) = services(script, &blocks, answers, &mut changes);
    for (block, home) in blocks.all.iter().zip(&homes) {
        let draft = home.and_then(|home| drafts.get_mut(home));
        let Some(draft) = draft else {
            for index in &block.lines {
                let Some(said) = script.said.get(*index) else { continue };
                settle(&mut fates, *index, without_home(block, said));
            }
            continue;
        };
        for index in &block.lines {
            let Some(said) = script.said.get(*index) else { continue };
            let mut frame = Frame {
                draft: &mut *draft,
                check: block.check,
                block,
                at: said.statement.at(),
                cycle: cycle.saturating_mul(block.every()),
                changes: &mut changes,
            };
            let fate = check::fate(&mut frame, said);
            settle(&mut fates, *index, fate);
        }
    }
    depends::connect(script, &blocks, &homes, &mut drafts, &mut fates, &mut changes);
    drafts.iter_mut().for_each(complete);
    report(script, drafts, &mails, fates, &changes)
}

/// The first fate stays: an include has had its own while it was read.
pub(super) fn settle(fates: &mut [Option<Fate>], index: usize, fate: Fate) {
    if let Some(open @ None) = fates.get_mut(index) {
        *open = Some(fate);
    }
}

/// One draft for each unit, those of processes first, and for each check which one it is.
fn services(
    script: &Script,
    blocks: &Blocks<'_>,
    answers: &Answers,
    changes: &mut Changes,
) -> (Vec<Draft>, Vec<Option<usize>>) {
    let mut drafts: Vec<Draft> = Vec::new();
    let mut homes = vec![None; blocks.all.len()];
    for processes in [true, false] {
        for (block, home) in blocks.all.iter().zip(&mut homes) {
            if (block.check.kind == Kind::Process) != processes {
                continue;
            }
            let (wanted, known) = match &block.home {
                Home::Unit(unit) => (unit.clone(), true),
                Home::Unnamed => (format!("todo-{}.service", draft::name(&block.check.name)), false),
                Home::Gate(_) | Home::Nowhere => continue,
            };
            let at =
                block.lines.first().and_then(|index| script.said.get(*index)).map(|said| said.statement.at());
            let at = at.unwrap_or_default();
            let same = drafts.iter().position(|draft| known && draft.unit == wanted);
            if let Some(same) = same {
                *home = Some(same);
                changes.entry(Change::OneService).or_default().insert(at);
                drafts[same].opened.push(at);
                continue;
            }
            let unit = free(&wanted, |unit| drafts.iter().any(|draft| draft.unit == unit));
            let name = draft::name(&block.check.name);
            if name != block.check.name {
                changes.entry(Change::Renamed).or_default().insert(at);
            }
            let name = free(&name, |name| drafts.iter().any(|draft| draft.name == name));
            let mut draft = Draft {
                name,
                fill_in: Vec::new(),
                opened: vec![at],
                main: Section::default(),
                beats: Vec::new(),
                logs: Vec::new(),
                restart: Section::default(),
                depends_on: Vec::new(),
                unit: unit.clone(),
            };
            draft.main.set("unit", text(&unit), at);
            if known && block.is_told_by(answers) {
                changes.entry(Change::ByPidFile).or_default().insert(at);
                draft.main.notes.push("the unit was found by the PID file on this host".into());
            }
            if !known {
                draft.fill_in.push(format!(
                    "unit: which unit is it? No command of this check names one; {unit:?} stands for it"
                ));
            }
            *home = Some(drafts.len());
            drafts.push(draft);
        }
    }
    (drafts, homes)
}

/// This name, or one that is free: `name-2`.
fn free(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let plain = name.strip_suffix(".service");
    let other = |n: usize| match plain {
        Some(plain) => format!("{plain}-{n}.service"),
        None => format!("{name}-{n}"),
    };
    let mut names = std::iter::once(name.to_owned()).chain((2..).map(other));
    names.find(|name| !taken(name)).unwrap_or_default()
}

/// Why nothing comes of a whole check; a gate that nobody depends on tells of its own unit.
fn without_home(block: &Block<'_>, said: &Said) -> Fate {
    if let Home::Gate(does) = &block.home {
        return match does.verb.as_str() {
            "is-enabled" => Fate::to("only_if_enabled"),
            _ => Fate::lost(
                "whether a unit is active is known without asking: name it in the `depends_on` of a service",
            ),
        };
    }
    let asks = block.rules().any(|rule| matches!(rule.test, Test::Connection(_)));
    Fate::lost(match block.check.kind {
        Kind::System | Kind::Filesystem => return host::fate(block.check.kind, said),
        Kind::File | Kind::Directory | Kind::Fifo => {
            "watchdog does not look after files: debsums, rpm -V or auditd tell of changes"
        }
        Kind::Network => "watchdog does not look at network links",
        Kind::Host if asks => {
            "no command of this check names a unit: give the service that answers there a [service.NAME.heartbeat] with this \
             address in `connect`"
        }
        Kind::Host => "watchdog does not ping",
        Kind::Program => {
            "programs are asked for a service, whose unit no command here names: [service.NAME.heartbeat] with `exec`"
        }
        Kind::Process => "no unit",
    })
}

/// What only the whole service shows.
fn complete(draft: &mut Draft) {
    if !draft.logs.is_empty() && draft.beats.is_empty() {
        draft.fill_in.push(
            "heartbeat: a log raises a suspicion only, and nothing is asked; add [service.NAME.heartbeat] with a url".into(),
        );
    }
    let acts = draft.beats.iter().any(|beat| !beat.has("on_failure"));
    if draft.restart.value("on") == Some("\"no\"") && !acts {
        draft.restart.notes.push("nothing is restarted, as in monit".into());
    }
}

fn report(
    script: &Script,
    drafts: Vec<Draft>,
    mails: &[Section],
    fates: Vec<Option<Fate>>,
    changes: &Changes,
) -> Report {
    let place =
        |at: &At| Place { file: script.files.get(at.file).cloned().unwrap_or_default(), line: at.line };
    let account = |(said, fate): (&Said, Option<Fate>)| {
        let fate = fate.unwrap_or_else(|| Fate::lost("watchdog has nothing like it"));
        let fate = match said.rest.is_empty() {
            true => fate,
            false => fate.but(format!("not understood: {}", super::statements::plain(&said.rest.join(" ")))),
        };
        Account { place: place(&said.statement.at()), statement: said.statement.text(), fate }
    };
    let statements: Vec<_> = script.said.iter().zip(fates).map(account).collect();
    let changed = |(change, places): (&Change, &BTreeSet<At>)| Changed {
        what: change.says().to_owned(),
        places: places.iter().map(place).collect(),
    };
    let changes = changes.iter().map(changed).collect();
    let toml = write::write(script, mails, &drafts, &statements);
    let kept = |draft: Draft| Kept { service: draft.name, unit: draft.unit, fill_in: draft.fill_in };
    let services = drafts.into_iter().map(kept).collect();
    Report { files: script.files.clone(), services, statements, changes, toml }
}
