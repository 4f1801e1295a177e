//! What became of each statement, and what is different now: for people and for programs.

use std::{fmt, path::PathBuf};

use serde::Serialize;

/// What became of one statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    /// It is in the configuration.
    Converted {
        /// Where: a table, or a key.
        to: String,
    },
    /// It is there in part.
    Partly {
        /// Where.
        to: String,
        /// What is not, and why.
        reason: String,
    },
    /// Watchdog does without.
    Needless {
        /// Why.
        reason: String,
    },
    /// Nothing comes of it.
    Lost {
        /// Why, and what to do.
        reason: String,
    },
}

/// A line of a file of monit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
}

/// One statement and its fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Where it begins.
    #[serde(flatten)]
    pub place: Place,
    /// The statement on one line; passwords are left out.
    pub statement: String,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// A service that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// `[service.NAME]`
    pub service: String,
    /// The unit.
    pub unit: String,
    /// What a person must fill in.
    pub fill_in: Vec<String>,
}

/// Something that is different under watchdog, and where monit's configuration shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// What, and what to do where it is not wanted.
    pub what: String,
    /// The statements.
    pub places: Vec<Place>,
}

/// Everything that came of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// What was written.
    pub services: Vec<Kept>,
    /// Every statement, in the order of the files.
    pub statements: Vec<Account>,
    /// What is different.
    pub changes: Vec<Changed>,
    /// The configuration.
    pub toml: String,
}

impl Fate {
    pub(super) fn to(to: impl Into<String>) -> Fate {
        Fate::Converted { to: to.into() }
    }

    pub(super) fn lost(reason: impl Into<String>) -> Fate {
        Fate::Lost { reason: reason.into() }
    }

    pub(super) fn needless(reason: impl Into<String>) -> Fate {
        Fate::Needless { reason: reason.into() }
    }

    /// The same, less something.
    pub(super) fn but(self, less: impl Into<String>) -> Fate {
        let less = less.into();
        match self {
            Fate::Converted { to } => Fate::Partly { to, reason: less },
            Fate::Partly { to, reason } => Fate::Partly { to, reason: format!("{reason}; {less}") },
            whole @ (Fate::Needless { .. } | Fate::Lost { .. }) => whole,
        }
    }

    /// Something that monit did is not done any more.
    pub fn is_less(&self) -> bool {
        match self {
            Fate::Converted { .. } | Fate::Needless { .. } => false,
            Fate::Partly { .. } | Fate::Lost { .. } => true,
        }
    }
}

impl Report {
    /// Nothing is lost, and nothing is to be filled in.
    pub fn is_whole(&self) -> bool {
        !self.statements.iter().any(|account| account.fate.is_less())
            && self.services.iter().all(|kept| kept.fill_in.is_empty())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut whole, mut partly, mut needless, mut lost) = (0, Vec::new(), Vec::new(), Vec::new());
        for account in &self.statements {
            match &account.fate {
                Fate::Converted { .. } => whole += 1,
                Fate::Partly { reason, .. } => partly.push((account, reason)),
                Fate::Needless { reason } => needless.push((account, reason)),
                Fate::Lost { reason } => lost.push((account, reason)),
            }
        }
        writeln!(
            f,
            "{} of {}: {whole} converted, {} in part, {} not needed, {} not converted.",
            many(self.statements.len(), "statement"),
            many(self.files.len(), "file"),
            partly.len(),
            needless.len(),
            lost.len()
        )?;
        if self.services.iter().any(|kept| !kept.fill_in.is_empty()) {
            writeln!(f, "\nTo fill in:")?;
        }
        for kept in &self.services {
            kept.fill_in.iter().try_for_each(|what| writeln!(f, "  [service.{}] {what}", kept.service))?;
        }
        list(f, "Not converted", &lost)?;
        list(f, "Converted in part; what is missing", &partly)?;
        list(f, "Not needed any more", &needless)?;
        if !self.changes.is_empty() {
            writeln!(f, "\nWhat is different under watchdog:")?;
        }
        for Changed { what, places } in &self.changes {
            writeln!(f, "  * {what}\n      {}", shown(places))?;
        }
        Ok(())
    }
}

/// Statements that share a reason share its line.
fn list(f: &mut fmt::Formatter<'_>, title: &str, accounts: &[(&Account, &String)]) -> fmt::Result {
    if !accounts.is_empty() {
        writeln!(f, "\n{title}:")?;
    }
    let mut told: Vec<&String> = Vec::new();
    for (_, reason) in accounts {
        if told.contains(reason) {
            continue;
        }
        told.push(reason);
        for (account, _) in accounts.iter().filter(|(_, other)| other == reason) {
            writeln!(f, "  {}  {}", account.place, account.statement)?;
        }
        writeln!(f, "      {reason}")?;
    }
    Ok(())
}

/// Enough of them to find the rest.
fn shown(places: &[Place]) -> String {
    const MOST: usize = 6;
    let mut text: Vec<_> = places.iter().take(MOST).map(ToString::to_string).collect();
    if places.len() > MOST {
        text.push(format!("and {} more", places.len() - MOST));
    }
    text.join(", ")
}

fn many(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
