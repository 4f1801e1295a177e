//! Which statements belong to one check, and which checks to one unit.

use std::path::PathBuf;

use super::{
    Answers, Question,
    model::{Action, Check, Kind, Method, Rule, Says, Test},
    source::{Said, Script},
    unit::{self, Does},
};

/// One check and its statements.
#[derive(Clone, Debug)]
pub(super) struct Block<'a> {
    pub(super) check: &'a Check,
    /// Indices of the script's statements; that of the check itself is the first.
    pub(super) lines: Vec<usize>,
    /// What its own words say.
    says: Vec<&'a Says>,
    pub(super) home: Home,
}

/// What becomes of a check as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// It is about this unit.
    Unit(String),
    /// It is about a unit that nobody could name.
    Unnamed,
    /// It asks whether a unit is enabled (or active).
    Gate(Does),
    /// Nothing can become of it.
    Nowhere,
}

/// Every check, and the statements outside of them.
#[derive(Clone, Debug)]
pub(super) struct Blocks<'a> {
    pub(super) all: Vec<Block<'a>>,
    pub(super) outside: Vec<usize>,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(script: &'a Script, answers: &Answers) -> Blocks<'a> {
        let mut blocks = Blocks { all: Vec::new(), outside: Vec::new() };
        for (index, Said { says, .. }) in script.said.iter().enumerate() {
            match says {
                Says::Check(check) => {
                    let lines = vec![index];
                    blocks.all.push(Block { check, lines, says: Vec::new(), home: Home::Nowhere });
                }
                Says::Set(_) | Says::Daemon { .. } => blocks.outside.push(index),
                Says::Start(_)
                | Says::Stop(_)
                | Says::Restart(_)
                | Says::If(_)
                | Says::Group(_)
                | Says::Depends(_)
                | Says::Every(_)
                | Says::Schedule
                | Says::Mode(_)
                | Says::OnReboot(_)
                | Says::Alert
                | Says::NoAlert
                | Says::Ignore
                | Says::Include(_)
                | Says::Unknown(_) => match blocks.all.last_mut() {
                    Some(block) => {
                        block.lines.push(index);
                        block.says.push(says);
                    }
                    None => blocks.outside.push(index),
                },
            }
        }
        blocks.settle(answers);
        blocks
    }

    /// Gates first, then what names its unit itself, then what is known by what it depends on.
    fn settle(&mut self, answers: &Answers) {
        for block in &mut self.all {
            let named =
                block.unit().or_else(|| answers.get(&block.check.name).and_then(|name| unit::whole(name)));
            block.home = match (block.gate(), named) {
                (Some(gate), _) => Home::Gate(gate),
                (None, Some(unit)) if block.is_wanted() => Home::Unit(unit),
                (None, _) if block.is_wanted() => Home::Unnamed,
                (None, _) => Home::Nowhere,
            };
        }
        let by_name: Vec<_> =
            self.all.iter().map(|block| (block.check.name.clone(), block.home.clone())).collect();
        for block in self.all.iter_mut().filter(|block| block.home == Home::Unnamed) {
            let unit = block.depends().find_map(|name| {
                let (_, home) = by_name.iter().find(|(other, _)| other == name)?;
                match home {
                    Home::Gate(does) if does.verb == "is-enabled" => Some(does.unit.clone()),
                    Home::Unit(unit) if block.check.kind != Kind::Process => Some(unit.clone()),
                    Home::Unit(_) | Home::Gate(_) | Home::Unnamed | Home::Nowhere => None,
                }
            });
            if let Some(unit) = unit {
                block.home = Home::Unit(unit);
            } else if block.check.kind != Kind::Process && !block.acts() {
                block.home = Home::Nowhere;
            }
        }
    }

    pub(super) fn questions(&self) -> Vec<Question> {
        let open = self.all.iter().filter(|block| block.home == Home::Unnamed);
        let question = |block: &Block<'_>| {
            let file = block.check.path.as_ref().filter(|_| block.check.kind == Kind::Process);
            Question { check: block.check.name.clone(), pid_file: file.map(PathBuf::from) }
        };
        open.map(question).collect()
    }
}

impl<'a> Block<'a> {
    pub(super) fn rules(&self) -> impl Iterator<Item = &'a Rule> + use<'_, 'a> {
        self.says.iter().filter_map(|says| if let Says::If(rule) = says { Some(&**rule) } else { None })
    }

    fn methods(&self) -> impl Iterator<Item = &'a Method> + use<'_, 'a> {
        self.says.iter().filter_map(|says| {
            if let Says::Start(method) | Says::Restart(method) | Says::Stop(method) = says {
                Some(method)
            } else {
                None
            }
        })
    }

    pub(super) fn depends(&self) -> impl Iterator<Item = &'a String> + use<'_, 'a> {
        self.says
            .iter()
            .filter_map(|says| if let Says::Depends(names) = says { Some(names) } else { None })
            .flatten()
    }

    /// monit could start it.
    pub(super) fn has_start(&self) -> bool {
        self.says.iter().any(|says| matches!(says, Says::Start(_) | Says::Restart(_)))
    }

    /// `mode`, where it is not `active`.
    pub(super) fn is_passive(&self) -> bool {
        self.says.iter().any(|says| matches!(says, Says::Mode(mode) if mode != "active"))
    }

    /// `every N cycles`
    pub(super) fn every(&self) -> u64 {
        let every = self
            .says
            .iter()
            .find_map(|says| if let Says::Every(cycles) = says { Some(*cycles) } else { None });
        every.unwrap_or(1).max(1)
    }

    /// Its commands name no unit, and whoever knows the host has.
    pub(super) fn is_told_by(&self, answers: &Answers) -> bool {
        self.unit().is_none() && answers.contains_key(&self.check.name)
    }

    /// The unit that its commands name.
    fn unit(&self) -> Option<String> {
        let by_action = self
            .rules()
            .filter_map(|rule| if let Action::Exec(command) = &rule.action { Some(command) } else { None });
        let mut commands = self.methods().map(|method| &method.command).chain(by_action);
        commands.find_map(|command| unit::of(command)).map(|does| does.unit)
    }

    /// `check program … "systemctl is-enabled X"`, with `if status != 0 then unmonitor`.
    fn gate(&self) -> Option<Does> {
        let command = self.check.path.as_ref().filter(|_| self.check.kind == Kind::Program)?;
        let does = unit::of(command).filter(|does| does.verb.starts_with("is-"))?;
        let unmonitors = |rule: &Rule| {
            matches!(rule.test, Test::Status { .. })
                && matches!(rule.action, Action::Unmonitor | Action::Stop)
        };
        self.rules().any(unmonitors).then_some(does)
    }

    /// Some rule of it may restart.
    fn acts(&self) -> bool {
        self.has_start() && self.rules().any(|rule| matches!(rule.action, Action::Restart | Action::Start))
    }

    /// Something can come of it, if only its unit is known.
    fn is_wanted(&self) -> bool {
        let has = |fits: fn(&Test) -> bool| self.rules().any(|rule| fits(&rule.test));
        match self.check.kind {
            Kind::Process => true,
            Kind::File => has(|test| matches!(test, Test::Content { .. })),
            Kind::Host => has(|test| matches!(test, Test::Connection(_))),
            Kind::Program => has(|test| matches!(test, Test::Status { .. })),
            Kind::Filesystem | Kind::Directory | Kind::Fifo | Kind::Network | Kind::System => false,
        }
    }
}
