//! Logs in a folder, written, rotated and taken away as servers and logrotate do it.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    thread::{CapabilitySet, capabilities, set_capabilities},
};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::{
    model::{Rung, Saw, Service, Sign},
    sources::logs::{Log, Logs, Settings, tail::Tail},
};

const LIMIT: Duration = Duration::from_secs(20);
const ERROR: &str = "::1 - - [t] \"GET / HTTP/1.1\" 502 1 \"-\" \"curl\"\n";

struct World {
    logs: Logs,
    signs: mpsc::Receiver<Sign>,
    folder: TempDir,
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits for this.
    async fn until<T>(&mut self, what: &str, wanted: impl Fn(Saw) -> Option<T>) -> T {
        let found = async {
            loop {
                let sign = self.signs.recv().await.expect("it runs");
                if let Some(found) = wanted(sign.saw) {
                    return found;
                }
            }
        };
        tokio::time::timeout(LIMIT, found).await.unwrap_or_else(|_| panic!("not told: {what}"))
    }

    async fn followed(&mut self) {
        let by_log = |saw| {
            let Saw::Serving(serving) = saw else { return None };
            serving.iter().any(|it| it.rung == Rung::Log && it.why.is_empty()).then_some(())
        };
        self.until("that the log is followed", by_log).await;
    }

    async fn works(&mut self, works: bool) -> String {
        let told = |saw| {
            let Saw::Working { works: now, why } = saw else { return None };
            (now == works).then_some(why)
        };
        self.until("whether it works", told).await
    }

    /// Waits until so many errors were told of a log.
    async fn errors(&mut self, name: &str, errors: u32) {
        let mut told = 0;
        while told < errors {
            let path = self.path(name);
            let found = |saw| {
                let Saw::LogErrors(found) = saw else { return None };
                (found.path == path).then_some(found.errors)
            };
            told += self.until("the errors", found).await;
        }
        assert_eq!(told, errors);
    }
}

/// Every four lines count by themselves.
fn log(path: PathBuf) -> Log {
    Log { within: Duration::from_millis(1), ..super::log(path) }
}

fn settings(folder: &Path, names: &[&str]) -> Settings {
    [(Service::new("web"), names.iter().map(|name| log(folder.join(name))).collect())].into()
}

/// A folder with these logs, each with errors from before; and a story of it.
fn play(names: &[&str], wanted: &[&str], story: impl AsyncFnOnce(&mut World)) {
    let folder = TempDir::new().expect("a folder");
    names.iter().for_each(|name| write(&folder.path().join(name), 9));
    play_in(folder, wanted, story);
}

fn play_in(folder: TempDir, wanted: &[&str], story: impl AsyncFnOnce(&mut World)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (sender, signs) = mpsc::channel(64);
        let (logs, _task) = Logs::start(settings(folder.path(), wanted), sender);
        story(&mut World { logs, signs, folder }).await;
    });
}

/// Appends so many errors, in one piece.
fn write(path: &Path, errors: usize) {
    append(path).write_all(ERROR.repeat(errors).as_bytes()).expect("written");
}

fn append(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("a log")
}

#[test]
fn b4_a_log_is_read_from_its_end_on() {
    play(&["log"], &["log"], async |world| {
        world.followed().await;
        write(&world.path("log"), 4);
        world.errors("log", 4).await;
        write(&world.path("log"), 5);
        world.errors("log", 5).await;
    });
}

#[test]
fn b4_a_rotation_by_rename_loses_nothing_of_the_old_file_or_of_the_new_one() {
    play(&["log"], &["log"], async |world| {
        world.followed().await;
        let mut old = append(&world.path("log"));
        fs::rename(world.path("log"), world.path("log.1")).expect("renamed");
        write(&world.path("log"), 4);
        world.errors("log", 4).await;
        // its server has not opened the new one yet
        old.write_all(ERROR.repeat(5).as_bytes()).expect("written");
        world.errors("log", 5).await;
        write(&world.path("log"), 6);
        world.errors("log", 6).await;
    });
}

#[test]
fn b4_a_rotation_by_copy_and_truncation_is_followed() {
    play(&["log"], &["log"], async |world| {
        world.followed().await;
        let mut log = append(&world.path("log"));
        log.write_all(ERROR.repeat(6).as_bytes()).expect("written");
        world.errors("log", 6).await;
        log.set_len(0).expect("truncated");
        log.write_all(ERROR.repeat(5).as_bytes()).expect("written");
        world.errors("log", 5).await;
    });
}

#[test]
fn b4_a_log_that_is_not_there_yet_is_read_from_its_beginning() {
    play(&[], &["deep/er/log"], async |world| {
        let why = world.works(false).await;
        assert!(why.ends_with("deep/er/log is not there yet; it is followed as soon as it appears"), "{why}");
        fs::create_dir(world.path("deep")).expect("a folder");
        fs::create_dir(world.path("deep/er")).expect("a folder");
        write(&world.path("deep/er/log"), 4);
        world.errors("deep/er/log", 4).await;
        world.works(true).await;
    });
}

#[test]
fn b4_a_link_is_refused_until_a_file_takes_its_place() {
    let folder = TempDir::new().expect("a folder");
    let path = |name| folder.path().join(name);
    write(&path("file"), 9);
    symlink(path("file"), path("log")).expect("a link");
    play_in(folder, &["log"], async |world| {
        let why = world.works(false).await;
        assert!(
            why.ends_with("log is a symbolic link, which is not followed: give the path of the file itself")
        );
        fs::rename(world.path("file"), world.path("log")).expect("renamed");
        world.works(true).await;
        write(&world.path("log"), 4);
        world.errors("log", 4).await;
    });
}

#[test]
fn b4_what_is_no_file_is_neither_opened_nor_waited_for() {
    let folder = TempDir::new().expect("a folder");
    let pipe = folder.path().join("log");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    play_in(folder, &["log"], async |world| {
        let why = world.works(false).await;
        assert!(why.ends_with("log is no regular file, and nothing else is read as a log"), "{why}");
    });
}

#[test]
fn b4_what_may_not_be_read_names_the_capability_and_is_tried_again() {
    let all = CapabilitySet::DAC_READ_SEARCH | CapabilitySet::DAC_OVERRIDE;
    let mut own = capabilities(None).expect("capabilities");
    own.effective &= !all;
    set_capabilities(None, own).expect("fewer capabilities"); // of this thread, and of those that it starts
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("log");
    write(&path, 9);
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    mode(0o000);
    play_in(folder, &["log"], async |world| {
        let why = world.works(false).await;
        assert!(why.contains("CAP_DAC_READ_SEARCH"), "{why}");
        mode(0o600);
        world.works(true).await;
        write(&path, 4);
        world.errors("log", 4).await;
    });
}

#[test]
fn a_deleted_log_is_let_go_of() {
    play(&["log"], &["log"], async |world| {
        world.followed().await;
        fs::remove_file(world.path("log")).expect("removed");
        write(&world.path("log"), 4);
        world.errors("log", 4).await;
        let held: Vec<PathBuf> = fs::read_dir("/proc/self/fd")
            .expect("descriptors")
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .filter(|link| {
                link.to_string_lossy().contains(" (deleted)") && link.starts_with(world.folder.path())
            })
            .collect();
        assert_eq!(held, Vec::<PathBuf>::new());
    });
}

#[test]
fn b8_two_logs_are_two_windows_and_a_reload_follows_others() {
    play(&["http", "https", "other"], &["http", "https"], async |world| {
        world.followed().await;
        write(&world.path("http"), 3);
        write(&world.path("https"), 4);
        world.errors("https", 4).await;
        write(&world.path("http"), 4);
        world.errors("http", 4).await;

        let before = world.logs.clone();
        before.follow(settings(world.folder.path(), &["https", "other", "missing"]));
        assert!(world.works(false).await.contains("missing"));
        write(&world.path("http"), 4);
        write(&world.path("other"), 4);
        world.errors("other", 4).await;
        write(&world.path("https"), 4);
        world.errors("https", 4).await;
        while let Ok(sign) = world.signs.try_recv() {
            assert!(!matches!(sign.saw, Saw::LogErrors(_)), "{sign:?}");
        }
    });
}

#[test]
fn a_log_in_another_format_is_told_of() {
    play(&["log"], &["log"], async |world| {
        world.followed().await;
        append(&world.path("log")).write_all("{\"status\":500}\n".repeat(20).as_bytes()).expect("written");
        let why = world.works(false).await;
        assert!(why.contains("is in the common or combined format"), "{why}");
        write(&world.path("log"), 4);
        world.errors("log", 4).await;
        world.works(true).await;
    });
}

#[test]
fn an_overrun_of_the_kernels_queue_is_a_loss_and_everything_is_read_again() {
    play(&["log"], &["log"], async |world| {
        world.followed().await;
        let longest = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("a limit");
        let longest: u32 = longest.trim().parse().expect("a number");
        // nobody listens meanwhile: this is the only thread
        let noise = [world.path("one"), world.path("other")];
        File::create(&noise[0]).expect("noise");
        for _ in 0..=longest / 2 {
            fs::rename(&noise[0], &noise[1]).and_then(|()| fs::rename(&noise[1], &noise[0])).expect("noise");
        }
        write(&world.path("log"), 4);
        let loss = |saw| matches!(saw, Saw::Loss(_)).then_some(());
        world.until("the loss", loss).await;
        world.errors("log", 4).await;
    });
}

#[test]
fn a_flood_is_read_in_pieces_and_none_of_it_is_missed() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("log");
    File::create(&path).expect("a log");
    let mut tail = Tail::new(Log { within: Duration::from_nanos(1), minimum: 1, ..super::log(&path) });
    let mut look = || tail.look(Err(std::io::ErrorKind::Unsupported.into()));
    assert!(look().unwatched);
    let errors = 3 * 1024 * 1024 / ERROR.len();
    write(&path, errors);
    let (mut read, mut looks) = (0, 0);
    loop {
        let look = look();
        looks += 1;
        read += look.found.map_or(0, |found| found.errors);
        if !look.more {
            break;
        }
    }
    assert_eq!((read, looks), (errors as u64, 3));
}
