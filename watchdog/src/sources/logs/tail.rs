//! One log: opened, read on, and judged. Waits for its disk, so it is looked at on threads that may.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
    time::Duration,
};

use inotify::Watches;
use rustix::fs::{FileType, Mode, OFlags};

use super::{
    BadLine, Log,
    error::Error,
    format,
    lines::Lines,
    watches::{self, Watching},
    window::{Count, Window},
};
use crate::{clock, model::Mono};

/// So much is read before everybody else has a turn.
const BATCH: usize = 1024 * 1024;
const PART: usize = 64 * 1024;
/// A file that was rotated away is written to until its server has opened the new one.
const LINGERS: Duration = Duration::from_secs(60);
/// So many lines in another format, and none in ours, are no accident.
const FOREIGN: u64 = 20;

/// A log as far as it was read.
#[derive(Debug)]
pub(super) struct Tail {
    log: Log,
    now: Option<Open>,
    /// What was rotated away.
    before: Option<Open>,
    /// A file that appears is read from its beginning: there was none before it.
    from_the_beginning: bool,
    window: Window,
    /// Lines that are not in the format, until one is.
    foreign: Option<u64>,
}

/// What a look came to.
#[derive(Debug)]
pub(super) struct Look {
    /// Not in order.
    pub(super) trouble: Option<Error>,
    /// There are bytes to be read still.
    pub(super) more: bool,
    /// What it waits for now.
    pub(super) watching: Watching,
    /// The kernel will not tell of all that it waits for.
    pub(super) unwatched: bool,
    /// To be told.
    pub(super) found: Option<Count>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Device and inode.
    id: (u64, u64),
    at: u64,
    lines: Lines,
    /// When it was found to be rotated away.
    since: Option<Mono>,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Good,
    Bad,
    /// Of a heartbeat of ours.
    Own,
    /// Not in the format.
    Foreign,
}

impl Tail {
    pub(super) fn new(log: Log) -> Tail {
        let window = Window::new(log.share, log.minimum, log.within);
        Tail { log, now: None, before: None, from_the_beginning: false, window, foreign: Some(0) }
    }

    /// Reads what is new, of at most [`BATCH`] bytes, and asks to be told of what comes; without `watches` nobody will
    /// tell.
    pub(super) fn look(&mut self, watches: Result<&mut Watches, io::Error>) -> Look {
        let mut watching = Watching::default();
        let mut count = Count::default();
        // asked for before it is read, so that nothing comes between
        let (found, asked) = match watches {
            Ok(watches) => self.ask(watches, &mut watching),
            Err(source) => (self.reopen(), Err(source)),
        };
        let path = &self.log.path;
        let unwatched = asked.is_err();
        let untold = asked.err().map(|source| Error::Unwatched { path: path.clone(), source });
        let mut look =
            Look { trouble: found.err().or(untold), more: false, watching, unwatched, found: None };
        let mut room = BATCH;
        for open in [&mut self.before, &mut self.now].into_iter().flatten() {
            let foreign = &mut self.foreign;
            let read = open.read(&mut room, |line| match kind(&self.log, line) {
                Kind::Own => *foreign = None,
                Kind::Foreign => *foreign = foreign.map(|lines| lines + 1),
                Kind::Good => (count.lines, *foreign) = (count.lines + 1, None),
                Kind::Bad => {
                    (count.lines, count.errors) = (count.lines + 1, count.errors + 1);
                    *foreign = None;
                }
            });
            match read {
                Ok(end) => look.more |= !end,
                Err(source) => look.trouble = Some(Error::io(path, source)),
            }
        }
        if self.foreign.is_some_and(|lines| lines >= FOREIGN) && look.trouble.is_none() {
            look.trouble = Some(Error::Format { path: path.clone() });
        }
        if look.trouble.is_some() || !look.more {
            self.let_go();
        }
        if count.lines > 0 {
            look.found = self.window.step(clock::now(), count);
        }
        look
    }

    /// Finds the file, and has it and its folder watched.
    fn ask(&mut self, watches: &mut Watches, watching: &mut Watching) -> (Result<(), Error>, io::Result<()>) {
        let folder = watches::folder(watches, &self.log.path, watching);
        let found = self.reopen();
        let files = [&self.before, &self.now].into_iter().flatten();
        let files = files.map(|open| watches::file(watches, &open.file, watching));
        (found, files.fold(folder, Result::and))
    }

    /// Opens what has the name now, where that is another file than before.
    fn reopen(&mut self) -> Result<(), Error> {
        let path = &self.log.path;
        let fault = |source: io::Error| Error::io(path, source);
        let opened = rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
        let place = match opened {
            Ok(place) => File::from(place),
            Err(errno) => {
                let fault = fault(errno.into());
                if matches!(fault, Error::Missing { .. }) {
                    self.from_the_beginning = true;
                    self.rotate(None);
                }
                return Err(fault);
            }
        };
        let stat = place.metadata().map_err(fault)?;
        let kind = FileType::from_raw_mode(stat.mode());
        if kind == FileType::Symlink {
            return Err(Error::Link { path: path.clone() });
        }
        if kind != FileType::RegularFile {
            return Err(Error::NoFile { path: path.clone() });
        }
        let id = (stat.dev(), stat.ino());
        if self.now.as_ref().is_some_and(|open| open.id == id) {
            return Ok(());
        }
        // the very file that was looked at, whoever has changed the name meanwhile
        let again = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::open(watches::own(&place), again, Mode::empty());
        let file = File::from(file.map_err(|errno| fault(errno.into()))?);
        let at = if self.from_the_beginning { 0 } else { stat.len() };
        self.from_the_beginning = true;
        self.rotate(Some(Open { file, id, at, lines: Lines::default(), since: None }));
        Ok(())
    }

    fn rotate(&mut self, next: Option<Open>) {
        let since = Some(clock::now());
        if let Some(now) = self.now.take() {
            self.before = Some(Open { since, ..now });
        }
        self.now = next;
    }

    /// Holds no file that nobody will write to any more: its disk may want the room.
    fn let_go(&mut self) {
        let now = clock::now();
        let deleted = |open: &Open| open.file.metadata().is_ok_and(|stat| stat.nlink() == 0);
        let left = |open: &Open| open.since.is_some_and(|since| now.since(since) > LINGERS);
        self.before.take_if(|open| left(open) || deleted(open));
    }
}

impl Open {
    /// Reads on, as long as there is room for more; `true` at the end.
    fn read(&mut self, room: &mut usize, mut each: impl FnMut(&[u8])) -> io::Result<bool> {
        let length = self.file.metadata()?.len();
        if length < self.at {
            (self.at, self.lines) = (0, Lines::default()); // it was truncated, and begins anew
        }
        self.file.seek(SeekFrom::Start(self.at))?;
        let mut part = [0; PART];
        while *room > 0 {
            let read = match self.file.read(&mut part) {
                Ok(0) => return Ok(true),
                Ok(read) => read,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
                Err(fault) => return Err(fault),
            };
            self.at += read as u64;
            *room = room.saturating_sub(read);
            self.lines.feed(&part[..read], &mut each);
        }
        Ok(false)
    }
}

/// What this line says of the service.
pub(super) fn kind(log: &Log, line: &[u8]) -> Kind {
    match &log.bad {
        BadLine::Status(from, to) => match format::entry(line) {
            None => Kind::Foreign,
            Some(entry) if entry.agent.is_some_and(|agent| log.own.iter().any(|own| own == agent)) => {
                Kind::Own
            }
            Some(entry) if (*from..=*to).contains(&entry.status) => Kind::Bad,
            Some(_) => Kind::Good,
        },
        BadLine::Match(_) if log.own.iter().any(|own| contains(line, own)) => Kind::Own,
        BadLine::Match(pattern) if pattern.is_match(line) => Kind::Bad,
        BadLine::Match(_) => Kind::Good,
    }
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && line.windows(part.len()).any(|window| window == part)
}
