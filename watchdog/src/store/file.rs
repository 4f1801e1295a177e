//! The file: opened, read and checked, or set aside.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, params};

use super::{Error, FILE, Kept, KeptPause, Store, thread};
use crate::{
    crash::{self, Point},
    model::{Mono, Service, Wall},
};

/// Tells our files from others': "wdog".
const APPLICATION: i32 = 0x7764_6f67;
/// Grows when an old reader would misread a new file.
const SCHEMA: i32 = 1;
/// So many files that were set aside are kept.
const ASIDE: usize = 3;
/// Pages that are kept in memory, as SQLite wants it: in KiB, below zero. It only appends, and reads once, at the start; SQLite's own
/// 2 MiB would pass for a leak in a process of 6.
const CACHE_KIB: i32 = -256;

const TABLES: &str = "
    CREATE TABLE state (id INTEGER PRIMARY KEY, boot TEXT NOT NULL, text TEXT NOT NULL, sum INTEGER NOT NULL);
    CREATE TABLE input (id INTEGER PRIMARY KEY, taken INTEGER NOT NULL, text TEXT NOT NULL, sum INTEGER NOT NULL);
    CREATE TABLE pause (service TEXT PRIMARY KEY, since INTEGER NOT NULL, ends INTEGER NOT NULL, by TEXT NOT NULL,
        reason TEXT NOT NULL, sum INTEGER NOT NULL);
";

/// Opens the store of this folder and reads what it holds of this boot. What cannot be trusted is set aside, and the store
/// begins afresh; `stamp` names the file that is set aside. Takes as long as the disk does.
///
/// # Errors
/// There is no store: the disk is full, read-only or broken, or another process has it.
pub fn open(folder: &Path, boot: &str, stamp: &str) -> Result<(Store, Kept), Error> {
    let path = folder.join(FILE);
    let distrusted = match read(&path, boot) {
        Ok((connection, kept)) => return Ok((thread::start(connection)?, kept)),
        Err(fault) if is_ours_to_set_aside(&fault) => fault,
        Err(fault) => return Err(fault),
    };
    set_aside(folder, stamp).map_err(|source| Error::Aside { path: path.clone(), source })?;
    let (connection, kept) = read(&path, boot)?;
    Ok((thread::start(connection)?, Kept { distrusted: Some(distrusted.to_string()), ..kept }))
}

/// The same where the texts of the last one make no sense: it is set aside.
///
/// # Errors
/// As [`open`].
pub fn open_afresh(folder: &Path, boot: &str, stamp: &str) -> Result<(Store, Kept), Error> {
    let path = folder.join(FILE);
    set_aside(folder, stamp).map_err(|source| Error::Aside { path, source })?;
    open(folder, boot, stamp)
}

/// Opens the file and reads what it holds.
pub(super) fn read(path: &Path, boot: &str) -> Result<(Connection, Kept), Error> {
    let fault = |source| Error::Sqlite { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    // locked for good: then there is no shared memory, which a full disk turns into SIGBUS
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(fault)?;
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let pages = number("page_count").map_err(fault)?;
    if pages > 0 {
        let why = match (number("application_id").map_err(fault)?, number("user_version").map_err(fault)?) {
            (APPLICATION, SCHEMA) => None,
            (APPLICATION, newer) if newer > SCHEMA => Some("a newer version of watchdog wrote it"),
            (APPLICATION, _) => Some("an older version of watchdog wrote it"),
            (_, _) => Some("another program wrote it"),
        };
        if let Some(why) = why {
            return Err(Error::Distrusted { path: path.to_owned(), why });
        }
    }
    connection.pragma_update(None, "journal_mode", "WAL").map_err(fault)?;
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(fault)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(fault)?; // after each state, when nobody waits
    connection.pragma_update(None, "trusted_schema", false).map_err(fault)?;
    connection.pragma_update(None, "cache_size", CACHE_KIB).map_err(fault)?;
    if pages == 0 {
        let schema = format!(
            "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA}; COMMIT;"
        );
        connection.execute_batch(&schema).map_err(fault)?;
        return Ok((connection, Kept::default()));
    }
    let checked: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(fault)?;
    let why = if checked == "ok" { rows(&connection, boot).map_err(fault)? } else { Err("it is damaged") };
    let kept = why.map_err(|why| Error::Distrusted { path: path.to_owned(), why })?;
    Ok((connection, kept))
}

/// What the tables hold; the inner error says what is wrong with it.
fn rows(connection: &Connection, boot: &str) -> rusqlite::Result<Result<Kept, &'static str>> {
    let mut kept = Kept::default();
    let mut pauses =
        connection.prepare("SELECT service, since, ends, by, reason, sum FROM pause ORDER BY service")?;
    let mut found = pauses.query([])?;
    while let Some(row) = found.next()? {
        let pause = KeptPause {
            service: Service::new(&row.get::<_, String>(0)?),
            since: Wall(row.get(1)?),
            ends: Wall(row.get(2)?),
            by: row.get(3)?,
            reason: row.get(4)?,
        };
        if sum_of_pause(&pause) != row.get::<_, i64>(5)? {
            return Ok(Err("a pause in it is damaged"));
        }
        kept.pauses.push(pause);
    }
    let mut states = connection.prepare("SELECT boot, text, sum FROM state ORDER BY id")?;
    let mut found = states.query([])?;
    let Some(row) = found.next()? else { return Ok(Ok(kept)) };
    let (of, text, sum) = (row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?);
    if sum != sum_of_state(&of, &text) || found.next()?.is_some() {
        return Ok(Err("the state in it is damaged"));
    }
    if of != boot {
        return Ok(Ok(kept)); // a new boot has fresh budgets
    }
    kept.state = Some(text);
    let mut before = sum;
    let mut inputs = connection.prepare("SELECT taken, text, sum FROM input ORDER BY id")?;
    let mut found = inputs.query([])?;
    while let Some(row) = found.next()? {
        let (taken, text, sum) = (row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?);
        if sum != sum_of_input(before, taken, &text) {
            return Ok(Err("an input in it is damaged"));
        }
        before = sum;
        kept.inputs.push((Mono(taken.unsigned_abs().saturating_mul(1_000)), text));
    }
    Ok(Ok(kept))
}

/// A disk that cannot be written to, and a file that another process has, are no reason to throw away what is in it.
fn is_ours_to_set_aside(fault: &Error) -> bool {
    match fault {
        Error::Sqlite { source, .. } => !matches!(
            source.sqlite_error_code(),
            Some(
                ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::ReadOnly
                    | ErrorCode::DiskFull
                    | ErrorCode::CannotOpen
                    | ErrorCode::PermissionDenied
                    | ErrorCode::OutOfMemory
            )
        ),
        Error::Distrusted { .. } => true,
        Error::Aside { .. } | Error::Thread(_) => false,
    }
}

/// Renames the file and what belongs to it, and removes the oldest of those that were set aside before.
fn set_aside(folder: &Path, stamp: &str) -> std::io::Result<()> {
    for end in ["", "-wal", "-shm", "-journal"] {
        let from = folder.join(format!("{FILE}{end}"));
        if from.symlink_metadata().is_ok() {
            fs::rename(&from, folder.join(format!("{FILE}.aside-{stamp}{end}")))?;
        }
    }
    let mut stamps: Vec<(String, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(stamp) = name.strip_prefix(&format!("{FILE}.aside-")) {
            let stamp =
                ["-wal", "-shm", "-journal"].iter().find_map(|end| stamp.strip_suffix(end)).unwrap_or(stamp);
            stamps.push((stamp.to_owned(), path));
        }
    }
    let mut known: Vec<&String> = stamps.iter().map(|(stamp, _)| stamp).collect();
    known.sort();
    known.dedup();
    let oldest = known.len().saturating_sub(ASIDE);
    let gone: Vec<&String> = known.into_iter().take(oldest).collect();
    for (_, path) in stamps.iter().filter(|(stamp, _)| gone.contains(&stamp)) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Writes a state, which stands for everything before it; its sum.
pub(super) fn write_state(connection: &Connection, boot: &str, text: &str) -> rusqlite::Result<i64> {
    connection.execute_batch("DELETE FROM state; DELETE FROM input;")?;
    crash::at(Point::HalfState);
    let sum = sum_of_state(boot, text);
    connection
        .prepare_cached("INSERT INTO state (boot, text, sum) VALUES (?1, ?2, ?3)")?
        .execute(params![boot, text, sum])?;
    Ok(sum)
}

/// Writes an input behind what has this sum; the new sum.
pub(super) fn write_input(
    connection: &Connection,
    before: i64,
    taken: Mono,
    text: &str,
) -> rusqlite::Result<i64> {
    let taken = i64::try_from(taken.micros()).unwrap_or(i64::MAX);
    let sum = sum_of_input(before, taken, text);
    connection
        .prepare_cached("INSERT INTO input (taken, text, sum) VALUES (?1, ?2, ?3)")?
        .execute(params![taken, text, sum])?;
    Ok(sum)
}

/// Writes a pause in the place of an older one.
pub(super) fn write_pause(connection: &Connection, pause: &KeptPause) -> rusqlite::Result<()> {
    let KeptPause { service, since, ends, by, reason } = pause;
    connection
        .prepare_cached("INSERT OR REPLACE INTO pause VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![service.as_str(), since.0, ends.0, by, reason, sum_of_pause(pause)])?;
    Ok(())
}

/// Writes these pauses in the place of all older ones.
pub(super) fn write_pauses(connection: &Connection, pauses: &[KeptPause]) -> rusqlite::Result<()> {
    connection.execute_batch("DELETE FROM pause")?;
    pauses.iter().try_for_each(|pause| write_pause(connection, pause))
}

/// Forgets a pause.
pub(super) fn forget_pause(connection: &Connection, service: &Service) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM pause WHERE service = ?1")?.execute([service.as_str()])?;
    Ok(())
}

fn sum_of_state(boot: &str, text: &str) -> i64 {
    sum([boot, "\0", text])
}

fn sum_of_input(before: i64, taken: i64, text: &str) -> i64 {
    sum([&format!("{before} {taken} "), text])
}

fn sum_of_pause(pause: &KeptPause) -> i64 {
    let KeptPause { service, since, ends, by, reason } = pause;
    sum([&format!("{service}\0{} {} ", since.0, ends.0), by, "\0", reason])
}

/// FNV-1a: each step is a bijection, so that one changed byte always changes it. It guards against accidents, not against root.
fn sum<const N: usize>(parts: [&str; N]) -> i64 {
    let bytes = parts.iter().flat_map(|part| part.bytes());
    let sum = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    sum.cast_signed()
}
