use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use procfs::process::Process;
use rustix::{fs::OFlags, time::ClockId};

use super::{holders::unit_in, program::group};
use crate::model::{Lodger, PidFile, PidStamp};

/// The kernel cuts the name of a process to this.
const COMM: usize = 15;
/// A PID file is a line; one that holds more than its PID is read so far.
const READ: u64 = 4096;

/// Whose PID file it is, and by what a process of that service is known.
#[derive(Clone, Debug)]
pub struct Lodging {
    /// The PID file.
    pub path: PathBuf,
    /// The unit's name.
    pub unit: String,
    /// The program that systemd starts, and those that its main process was seen to run.
    pub programs: BTreeSet<PathBuf>,
}

/// Why a PID file could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read the PID file {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a device, a folder or the like.
    #[error("the PID file {} is no regular file", path.display())]
    NoFile {
        /// Which.
        path: PathBuf,
    },
    /// The processes cannot be listed.
    #[error("cannot list the processes of this host: {source}")]
    Processes {
        /// Why.
        source: procfs::ProcError,
    },
}

/// What a PID file says, and who lives that bears on it. `None` where there is none, or no PID in it.
///
/// # Errors
/// [`Error`]: a symbolic link is not followed, for who may write its folder could have it point anywhere.
pub fn pid_file(lodging: &Lodging) -> Result<Option<PidFile>, Error> {
    let fault = |source| Error::File { path: lodging.path.clone(), source };
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut open = OpenOptions::new();
    open.read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
    let file = match open.open(&lodging.path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(error)),
    };
    let about = file.metadata().map_err(fault)?;
    if !about.is_file() {
        return Err(Error::NoFile { path: lodging.path.clone() });
    }
    let Some((pid, plain)) = pid_in(&contents(&file).map_err(fault)?) else { return Ok(None) };
    let search = Search::new(lodging, &about);
    let holder = Process::new(pid).ok().and_then(|process| search.lodger(&process));
    let mut others = procfs::process::all_processes().map_err(|source| Error::Processes { source })?;
    let instance = others.find_map(|process| {
        let process = process.ok().filter(|it| it.pid != pid)?;
        search.lodger(&process).filter(|it| it.alike && !it.own)
    });
    let (device, inode) = (about.dev(), about.ino());
    let stamp = PidStamp { pid: pid.unsigned_abs(), device, inode };
    Ok(Some(PidFile { path: lodging.path.clone(), stamp, plain, holder, instance }))
}

fn contents(file: &File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(READ).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The PID on the first line, and whether there is nothing else.
fn pid_in(text: &str) -> Option<(i32, bool)> {
    let pid = text.lines().next()?.trim().parse().ok().filter(|pid| *pid > 0)?;
    Some((pid, text.split_whitespace().count() == 1))
}

/// By what the processes of one service are known.
struct Search<'a> {
    unit: &'a str,
    programs: &'a BTreeSet<PathBuf>,
    /// Device and inode of each program, for one that is seen by another path.
    files: BTreeSet<(u64, u64)>,
    names: BTreeSet<String>,
    written: SystemTime,
}

impl<'a> Search<'a> {
    fn new(lodging: &'a Lodging, file: &Metadata) -> Search<'a> {
        let Lodging { path, unit, programs } = lodging;
        let files = programs.iter().filter_map(|program| program.metadata().ok());
        Search {
            unit,
            programs,
            files: files.map(|it| (it.dev(), it.ino())).collect(),
            names: names(path, unit, programs),
            // what cannot be told counts as written just now: nobody came later
            written: file.modified().unwrap_or_else(|_| SystemTime::now()),
        }
    }

    /// A process, unless it has ended.
    fn lodger(&self, process: &Process) -> Option<Lodger> {
        let stat = process.stat().ok()?;
        if matches!(stat.state, 'Z' | 'X' | 'x') {
            return None;
        }
        let program = process.exe().ok().map(|path| undeleted(&path));
        let (unit, own) = self.home(process);
        let alike = self.is_alike(process, &stat.comm, program.as_deref());
        let later = started(stat.starttime).is_some_and(|at| at > self.written);
        Some(Lodger { pid: process.pid.unsigned_abs(), comm: stat.comm, program, unit, own, alike, later })
    }

    /// The unit of a process, and whether that is the service's own.
    fn home(&self, process: &Process) -> (String, bool) {
        let group = group(process.pid.unsigned_abs());
        (unit_in(&group), group.iter().any(|part| part == self.unit))
    }

    fn is_alike(&self, process: &Process, comm: &str, program: Option<&Path>) -> bool {
        let known = |name: &str| self.names.iter().any(|it| it == name || cut(it) == name);
        let named = program.and_then(Path::file_name).and_then(|name| name.to_str()).is_some_and(known);
        let same = program.is_some_and(|program| self.programs.contains(program));
        same || named || known(comm) || self.runs_its_file(process) || self.runs_its_script(process)
    }

    fn runs_its_file(&self, process: &Process) -> bool {
        let about = fs::metadata(format!("/proc/{}/exe", process.pid));
        about.is_ok_and(|about| self.files.contains(&(about.dev(), about.ino())))
    }

    /// Where systemd starts a script, the kernel runs its interpreter, with the script as an argument.
    fn runs_its_script(&self, process: &Process) -> bool {
        let line = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        let words = line.split(|byte| *byte == 0).take(3);
        words.map(|word| Path::new(OsStr::from_bytes(word))).any(|word| self.programs.contains(word))
    }
}

/// What a process of the service may be called: as its programs, its unit or its PID file.
fn names(file: &Path, unit: &str, programs: &BTreeSet<PathBuf>) -> BTreeSet<String> {
    let unit = Path::new(unit.split('@').next().unwrap_or(unit)).file_stem();
    let programs = programs.iter().filter_map(|program| program.file_name());
    let all = programs.chain(unit).chain(file.file_stem());
    all.filter_map(OsStr::to_str).map(str::to_owned).collect()
}

fn cut(name: &str) -> &str {
    name.get(..COMM).unwrap_or(name)
}

/// The kernel says so of a program whose file was replaced or removed.
fn undeleted(program: &Path) -> PathBuf {
    let bytes = program.as_os_str().as_bytes();
    OsStr::from_bytes(bytes.strip_suffix(b" (deleted)").unwrap_or(bytes)).into()
}

/// When a process was started, by the wall clock; the kernel counts it in ticks since the boot, and cuts the rest off.
fn started(ticks: u64) -> Option<SystemTime> {
    let after_boot = Duration::from_millis(ticks.checked_mul(1000)? / procfs::ticks_per_second().max(1));
    let up = rustix::time::clock_gettime(ClockId::Boottime);
    let up = Duration::new(up.tv_sec.try_into().ok()?, up.tv_nsec.try_into().ok()?);
    SystemTime::now().checked_sub(up.checked_sub(after_boot)?)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn sleeper() -> Child {
        Command::new("/bin/sleep").arg("1000").stdout(Stdio::null()).spawn().expect("sleep")
    }

    fn lodging(path: PathBuf, programs: &[&str]) -> Lodging {
        let programs = programs.iter().map(PathBuf::from).collect();
        Lodging { path, unit: "no-such-unit-of-mine.service".into(), programs }
    }

    /// A PID file with this text, written before a process came or after; and what is found.
    fn found(text: &str, written: SystemTime, programs: &[&str]) -> Option<PidFile> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("no-such-file-of-mine.pid");
        fs::write(&path, text).expect("a file");
        File::options().write(true).open(&path).and_then(|it| it.set_modified(written)).expect("a time");
        pid_file(&lodging(path, programs)).expect("it can be read")
    }

    #[test]
    fn e1_the_pid_lives_as_another_program_that_came_later() {
        let mut stranger = sleeper();
        let earlier = SystemTime::now() - Duration::from_secs(3600);
        let found = found(&format!("{}\n", stranger.id()), earlier, &["/no/such/daemon"]);
        stranger.kill().and_then(|()| stranger.wait()).expect("it ends");
        let found = found.expect("a PID");
        let holder = found.holder.as_ref().expect("it lives");
        assert_eq!(
            (holder.comm.as_str(), holder.own, holder.alike, holder.later),
            ("sleep", false, false, true)
        );
        assert!(
            holder
                .program
                .as_ref()
                .is_some_and(|program| program.ends_with("sleep") || program.ends_with("coreutils"))
        );
        assert_eq!(found.instance, None);
        assert!(found.is_stale());
    }

    #[test]
    fn e7_a_process_that_may_have_written_the_file_or_runs_the_program_proves_nothing() {
        let mut other = sleeper();
        let text = format!("{}\n", other.id());
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        let by_time = found(&text, now + hour, &["/no/such/daemon"]).expect("a PID");
        let program = fs::read_link(format!("/proc/{}/exe", other.id())).expect("its program");
        let program = program.to_str().expect("a name");
        let by_program = found(&text, now - hour, &[program]).expect("a PID");
        let free = found("4194304\n", now - hour, &[program]).expect("a PID");
        other.kill().and_then(|()| other.wait()).expect("it ends");
        assert!(!by_time.is_stale() && !by_time.holder.expect("it lives").later);
        assert!(!by_program.is_stale() && by_program.holder.expect("it lives").alike);
        assert!(free.holder.is_none() && !free.is_stale(), "one of the service lives elsewhere");
        assert!(free.instance.is_some_and(|it| it.alike));
    }

    #[test]
    fn a_zombie_holds_nothing() {
        let mut ended = Command::new("/bin/true").spawn().expect("true");
        let path = format!("/proc/{}/stat", ended.id());
        while !fs::read_to_string(&path).is_ok_and(|stat| stat.contains(") Z ")) {
            std::thread::yield_now();
        }
        let found = found(&ended.id().to_string(), SystemTime::now(), &["/no/such/daemon"]);
        ended.wait().expect("it is reaped");
        let found = found.expect("a PID");
        assert!(found.holder.is_none() && found.is_stale());
    }

    #[test]
    fn a_link_is_not_followed_and_what_holds_no_pid_says_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| lodging(folder.path().join(name), &[]);
        std::os::unix::fs::symlink("/proc/sys/kernel/pid_max", folder.path().join("link")).expect("a link");
        assert!(matches!(pid_file(&at("link")), Err(Error::File { .. })));
        assert!(matches!(pid_file(&at(".")), Err(Error::NoFile { .. })));
        assert_eq!(pid_file(&at("none")).expect("it can be looked for"), None);
        assert_eq!(found("none\n", SystemTime::now(), &[]), None);
        assert_eq!(found("-1\n", SystemTime::now(), &[]), None);
    }

    #[test]
    fn a_file_that_says_more_than_a_pid_is_read_and_never_proved_stale() {
        assert_eq!(pid_in("812\n"), Some((812, true)));
        assert_eq!(pid_in(" 812"), Some((812, true)));
        assert_eq!(pid_in("812\n/var/lib/postgresql\n"), Some((812, false)));
        assert_eq!(pid_in("812 sleeping\n"), None);
        assert_eq!(pid_in(""), None);
        let found = found("4194304\n/var/lib\n", SystemTime::now(), &["/no/such/daemon"]).expect("a PID");
        assert!(!found.is_stale());
    }

    #[test]
    fn a_process_is_known_by_its_program_its_unit_or_its_file() {
        let programs = BTreeSet::from(["/usr/sbin/apachectl".into()]);
        let names = names(Path::new("/run/apache2/apache2.pid"), "httpd@one.service", &programs);
        assert_eq!(names, ["apache2", "apachectl", "httpd"].map(str::to_owned).into());
        assert_eq!(undeleted(Path::new("/usr/sbin/nginx (deleted)")), Path::new("/usr/sbin/nginx"));
        assert_eq!(cut("a-very-long-name-of-a-program"), "a-very-long-nam");
    }
}
