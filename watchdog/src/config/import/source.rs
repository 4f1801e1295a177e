use std::{
    fs::{self, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use super::{
    lexer,
    model::Says,
    parse,
    report::Fate,
    statements::{self, Statement},
};

/// monit's own files are some kilobytes.
const LARGEST: u64 = 1 << 20;
const MOST_FILES: usize = 1_000;

/// Files of monit, read.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub(super) files: Vec<PathBuf>,
    pub(super) said: Vec<Said>,
}

/// One statement, with the statements of included files where they are included.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) statement: Statement,
    pub(super) says: Says,
    /// Words that nobody understood.
    pub(super) rest: Vec<String>,
    /// What became of it while it was read.
    pub(super) fate: Option<Fate>,
}

/// A file that was asked for cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a folder, a device or the like.
    #[error("cannot read {}: it is no regular file", path.display())]
    Kind {
        /// Which.
        path: PathBuf,
    },
    /// Nobody writes as much.
    #[error("cannot read {}: it is larger than 1 MiB", path.display())]
    Size {
        /// Which.
        path: PathBuf,
    },
}

/// Reads these files and what they include.
///
/// # Errors
/// [`Error`] of a file that is named here. One that is included and cannot be read is the fate of its `include`.
pub fn read(paths: &[PathBuf]) -> Result<Script, Error> {
    let mut script = Script::default();
    for path in paths {
        let text = text(path)?;
        script.take(path, &text, &mut Vec::new());
    }
    Ok(script)
}

impl Script {
    /// The files that were read, in their order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    fn take(&mut self, path: &Path, text: &str, above: &mut Vec<PathBuf>) {
        let file = self.files.len();
        self.files.push(path.to_owned());
        above.push(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()));
        for statement in statements::split(lexer::tokens(file, text)) {
            let (says, rest) = parse::parse(&statement);
            let included = if let Says::Include(pattern) = &says { Some(pattern.clone()) } else { None };
            let index = self.said.len();
            self.said.push(Said { statement, says, rest, fate: None });
            if let Some(pattern) = included {
                let fate = self.include(&pattern, path, above);
                if let Some(said) = self.said.get_mut(index) {
                    said.fate = Some(fate);
                }
            }
        }
        above.pop();
    }

    /// Reads what a pattern names, in the order of the names, as monit does.
    fn include(&mut self, pattern: &str, from: &Path, above: &mut Vec<PathBuf>) -> Fate {
        let full = from.parent().unwrap_or(Path::new("/")).join(pattern.replace("**", "*")); // as glob(3) has it
        let paths = match glob::glob(&full.to_string_lossy()) {
            Ok(paths) => paths,
            Err(fault) => return Fate::lost(format!("this is no pattern of files: {fault}")),
        };
        let (mut taken, mut faults) = (0_usize, Vec::new());
        for path in paths.filter_map(Result::ok).filter(|path| is_meant(path)) {
            let real = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
            if above.contains(&real) {
                faults.push(format!("{} includes itself", path.display()));
                continue;
            }
            if self.files.len() >= MOST_FILES {
                faults.push(format!("more than {MOST_FILES} files are included"));
                break;
            }
            match text(&path) {
                Ok(text) => {
                    self.take(&path, &text, above);
                    taken += 1;
                }
                Err(fault) => faults.push(fault.to_string()),
            }
        }
        let to = format!("{taken} file{} read", if taken == 1 { "" } else { "s" });
        match (faults.is_empty(), taken) {
            (true, 0) => Fate::lost("no file matches"),
            (true, _) => Fate::Converted { to },
            (false, _) => Fate::Partly { to, reason: faults.join("; ") },
        }
    }
}

/// monit passes over folders and the backups of editors.
fn is_meant(path: &Path) -> bool {
    path.is_file() && !path.to_string_lossy().ends_with('~')
}

fn text(path: &Path) -> Result<String, Error> {
    let fault = |source| Error::Io { path: path.to_owned(), source };
    // a pipe is not waited for
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(fault)?;
    if !file.metadata().map_err(fault)?.is_file() {
        return Err(Error::Kind { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(fault)?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= LARGEST => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        _ => Err(Error::Size { path: path.to_owned() }),
    }
}
