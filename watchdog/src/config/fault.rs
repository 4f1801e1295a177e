use std::{
    fmt::{self, Write as _},
    io::{self, IsTerminal},
    ops::Range,
    path::{Path, PathBuf},
};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

/// Nobody reads more at once.
const MOST_SHOWN: usize = 200;

/// Everything that is wrong with a configuration: every fault of every file, never the first alone. Its `Display` is the
/// whole text for people, without colours.
#[derive(Debug, thiserror::Error)]
pub struct Faults {
    pub(super) sources: Vec<Source>,
    pub(super) faults: Vec<Fault>,
}

/// A fault as plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// What is wrong.
    pub message: String,
    /// The file or folder.
    pub path: Option<PathBuf>,
    /// Line, counted from 1.
    pub line: Option<usize>,
    /// Column in characters, counted from 1.
    pub column: Option<usize>,
    /// What was expected there.
    pub expected: String,
    /// What to do.
    pub help: String,
}

/// One fault of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No file where one is looked for unasked.
    #[error("no configuration: neither {} nor a file in {} is there", .main.display(), .fragments.display())]
    Absent {
        /// `/etc/watchdog/watchdog.toml`.
        main: PathBuf,
        /// `/etc/watchdog/conf.d`.
        fragments: PathBuf,
    },
    /// A file or folder cannot be opened or read.
    #[error("cannot read {}: {error}", .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Someone who is not root could change what watchdog does as root.
    #[error("cannot trust {}: {danger}", .path.display())]
    Untrusted {
        /// The file, folder or link.
        path: PathBuf,
        /// Why.
        danger: Danger,
    },
    /// A fault in the text of a file.
    #[error("{}", .0.title)]
    Written(Written),
}

/// Why a file or a folder on the way to it is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Danger {
    /// It belongs to this user.
    #[error("it belongs to user {0}, who could change it")]
    Owner(u32),
    /// Group or others may write to it.
    #[error("its mode {0:04o} lets others than its owner write to it")]
    Writable(u32),
    /// It holds a secret, and group or others may read it.
    #[error("it holds a password, and its mode {0:04o} lets others than its owner read it")]
    Readable(u32),
    /// A device, a pipe, a folder …
    #[error("it is no regular file")]
    Kind,
    /// Links that lead to links.
    #[error("too many symbolic links lead to it")]
    Links,
    /// Larger than any configuration.
    #[error("it is larger than 1 MiB")]
    Size,
}

/// A fault in the text of a file, with its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What is wrong.
    pub(super) title: String,
    /// Where, and what was expected there; the first is the place of the fault, others explain it.
    pub(super) spots: Vec<(Place, String)>,
    /// What to do.
    pub(super) help: String,
}

/// A stretch of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) span: Range<usize>,
}

impl Place {
    /// Sorts places as a reader of the files meets them.
    pub(super) fn order(&self) -> (usize, usize) {
        (self.file, self.span.start)
    }
}

/// A file that was read; secrets in `text` are masked, byte by byte, as soon as they are known.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) world_readable: bool,
}

impl Source {
    /// Line and column of a byte, counted from 1.
    pub(super) fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// Hides a secret from every later rendering; offsets and lines stay as they are.
    pub(super) fn mask(&mut self, span: Range<usize>) {
        let Some(secret) = self.text.get(span.clone()) else { return };
        let stars: String = secret.bytes().map(|b| if b == b'\n' { '\n' } else { '*' }).collect();
        self.text.replace_range(span, &stars);
    }
}

impl Faults {
    /// Whether all that is wrong is that there is no configuration where one is looked for unasked.
    pub fn are_absence(&self) -> bool {
        matches!(self.faults.as_slice(), [Fault::Absent { .. }])
    }

    /// How many faults there are.
    pub fn count(&self) -> usize {
        self.faults.len()
    }

    /// The faults, file by file.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter()
    }

    /// Of sysexits: 78 (EX_CONFIG) for what is written wrong, may be changed by others, or is not there at the default
    /// path; 66 (EX_NOINPUT) where only the named file is missing; 77 (EX_NOPERM) where only a permission is.
    pub fn exit_code(&self) -> u8 {
        let codes = self.faults.iter().map(|fault| match fault {
            Fault::Absent { .. } | Fault::Untrusted { .. } | Fault::Written(_) => 78,
            Fault::Unreadable { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => 77,
            Fault::Unreadable { .. } => 66,
        });
        codes.max().unwrap_or(78)
    }

    /// Each fault as plain data, for `--json`.
    pub fn told(&self) -> Vec<Told> {
        let told = |fault: &Fault| {
            let (message, help) = (fault.to_string(), fault.help());
            let (path, spot) = match fault {
                Fault::Absent { main: path, .. }
                | Fault::Unreadable { path, .. }
                | Fault::Untrusted { path, .. } => (Some(path.clone()), None),
                Fault::Written(written) => {
                    let spot = written.spots.first().and_then(|(place, label)| {
                        Some((self.sources.get(place.file)?, place.span.start, label.clone()))
                    });
                    (spot.as_ref().map(|(source, ..)| source.path.clone()), spot)
                }
            };
            let at = spot.as_ref().map(|(source, start, _)| source.line_and_column(*start));
            let expected = spot.map(|(.., label)| label).unwrap_or_default();
            Told { message, path, line: at.map(|at| at.0), column: at.map(|at| at.1), expected, help }
        };
        self.faults.iter().map(told).collect()
    }

    /// The whole text for people: each fault with its file, line and caret, what was expected, and what to do.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for fault in self.faults.iter().take(MOST_SHOWN) {
            let report = self.report(fault);
            let _ = writeln!(text, "{}\n", renderer.render(&report)); // a String takes every write
        }
        if self.faults.len() > MOST_SHOWN {
            let _ = write!(text, "The first {MOST_SHOWN} are shown. ");
        }
        let _ = match self.faults.len() {
            1 => write!(text, "The configuration has a fault and is not used."),
            n => write!(text, "The configuration has {n} faults and is not used."),
        };
        text
    }

    fn report<'a>(&'a self, fault: &'a Fault) -> Vec<Group<'a>> {
        let group = Level::ERROR.primary_title(fault.to_string());
        let group = match fault {
            Fault::Absent { .. } | Fault::Unreadable { .. } | Fault::Untrusted { .. } => {
                Group::with_title(group)
            }
            Fault::Written(written) => {
                let mut group = Group::with_title(group);
                let mut rest = written.spots.as_slice();
                while let Some(((first, _), _)) = rest.split_first() {
                    // Spots of one file that follow each other share a snippet.
                    let length = rest.iter().take_while(|(place, _)| place.file == first.file).count();
                    let (these, others) = rest.split_at(length);
                    let primary = rest.len() == written.spots.len();
                    group = self.snippet(group, these, primary);
                    rest = others;
                }
                group
            }
        };
        let help = fault.help();
        vec![if help.is_empty() { group } else { group.element(Level::HELP.message(help)) }]
    }

    fn snippet<'a>(&'a self, group: Group<'a>, spots: &'a [(Place, String)], primary: bool) -> Group<'a> {
        let Some(source) = spots.first().and_then(|(place, _)| self.sources.get(place.file)) else {
            return group;
        };
        let path = source.path.to_string_lossy();
        if source.text.is_empty() {
            return group.element(Origin::path(path));
        }
        let annotations = spots.iter().enumerate().map(|(index, (place, label))| {
            let kind = if primary && index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            kind.span(within(&source.text, &place.span)).label(label.as_str())
        });
        group.element(Snippet::source(source.text.as_str()).path(path).annotations(annotations))
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Fault {
    /// What to do about it.
    pub(super) fn help(&self) -> String {
        match self {
            Fault::Absent { main, .. } => format!(
                "`watchdog discover --output {}` writes one for the units that listen here; or write it, these lines are a whole configuration:\n\n[service.web]\nunit = \"nginx.service\"\n\n\
                 [service.web.heartbeat]\nurl = \"http://127.0.0.1/\"",
                main.display()
            ),
            Fault::Unreadable { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => {
                "run as root".into()
            }
            Fault::Unreadable { error, .. } if error.kind() == io::ErrorKind::InvalidData => {
                "save the file as UTF-8".into()
            }
            Fault::Unreadable { .. } => {
                "check the path; `--config` names a file, or a folder that holds watchdog.toml".into()
            }
            Fault::Untrusted { path, danger } => danger.help(path),
            Fault::Written(written) => written.help.clone(),
        }
    }

    pub(super) fn order(&self) -> (usize, usize) {
        match self {
            Fault::Absent { .. } | Fault::Unreadable { .. } | Fault::Untrusted { .. } => (0, 0),
            Fault::Written(Written { spots, .. }) => {
                spots.first().map_or((usize::MAX, 0), |(place, _)| (place.file + 1, place.span.start))
            }
        }
    }
}

impl Danger {
    fn help(self, path: &Path) -> String {
        let path = path.display();
        match self {
            Danger::Owner(_) => {
                format!("watchdog acts as root on what it reads there: `chown root:root {path}`")
            }
            Danger::Writable(_) => {
                format!("watchdog acts as root on what it reads there: `chmod go-w {path}`")
            }
            Danger::Readable(_) => format!("`chmod go-rwx {path}`"),
            Danger::Kind => "put a regular file there".into(),
            Danger::Links => "put the file itself there".into(),
            Danger::Size => "a configuration is some kilobytes: look at what this file is".into(),
        }
    }
}

/// Whether a text for people on this stream may have colours: it is a terminal, and NO_COLOR is unset or empty.
pub fn wants_colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The span, cut to what the text has, on the borders of characters.
fn within(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
    start..end
}
