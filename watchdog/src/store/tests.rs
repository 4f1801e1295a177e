use std::{fs, path::Path, time::Duration};

use proptest::prelude::*;
use rusqlite::Connection;

use super::{Error, FILE, Kept, KeptPause, Store, file, open, open_afresh, thread};
use crate::model::{Mono, Service, Wall};

const BOOT: &str = "boot-1";

fn at(us: u64) -> Mono {
    Mono(us * 1_000)
}

fn pause(name: &str) -> KeptPause {
    let (by, reason) = ("alice (uid 1000)".to_owned(), "deploy".to_owned());
    KeptPause { service: Service::new(name), since: Wall(5), ends: Wall(9), by, reason }
}

fn closed(store: Store) {
    assert!(store.close(Duration::from_secs(20)), "the thread ends when all is written");
}

/// A state, two inputs after it, and a pause.
fn written(folder: &Path) -> Kept {
    let (mut store, before) = open(folder, BOOT, "0").unwrap();
    assert_eq!(before, Kept::default());
    store.state(BOOT, "an older state".into(), vec![]).unwrap();
    store.input(at(1), "of the older state".into()).unwrap();
    store.state(BOOT, "a state".into(), vec![]).unwrap();
    store.input(at(2), "one".into()).unwrap();
    store.pause(pause("web")).unwrap();
    store.pause(pause("gone")).unwrap();
    store.resume(Service::new("gone")).unwrap();
    store.input(at(3), "two".into()).unwrap();
    closed(store);
    Kept {
        state: Some("a state".into()),
        inputs: vec![(at(2), "one".into()), (at(3), "two".into())],
        pauses: vec![pause("web")],
        distrusted: None,
    }
}

fn aside(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.contains("aside")).collect();
    names.sort();
    names
}

#[test]
fn what_was_stored_is_read_back_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let kept = written(folder.path());
    let (mut store, read) = open(folder.path(), BOOT, "1").unwrap();
    assert_eq!(read, kept);
    store.state(BOOT, "next".into(), kept.pauses).unwrap();
    closed(store);
    let (_, read) = open(folder.path(), BOOT, "2").unwrap();
    assert_eq!((read.state.as_deref(), read.inputs.len()), (Some("next"), 0));
    assert_eq!(aside(folder.path()), Vec::<String>::new());
}

#[test]
fn a_new_boot_has_fresh_budgets_and_keeps_its_pauses() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let (_, read) = open(folder.path(), "boot-2", "1").unwrap();
    assert_eq!(read, Kept { pauses: vec![pause("web")], ..Kept::default() });
}

#[test]
fn a_second_process_gets_no_store_and_takes_nothing_away() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path(), BOOT, "0").unwrap();
    store.state(BOOT, "a state".into(), vec![]).unwrap();
    assert!(matches!(open(folder.path(), BOOT, "1"), Err(Error::Sqlite { .. })));
    assert_eq!(aside(folder.path()), Vec::<String>::new());
    closed(store);
}

#[test]
fn what_another_program_or_a_newer_version_wrote_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let (store, read) = open(folder.path(), BOOT, "1").unwrap();
    assert!(read.distrusted.unwrap().contains("another program"));
    closed(store);
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 2").unwrap();
    let (store, read) = open(folder.path(), BOOT, "2").unwrap();
    assert!(read.distrusted.unwrap().contains("a newer version"));
    closed(store);
    fs::write(&path, "no database at all, but a text that is long enough to be looked at as one").unwrap();
    let (store, read) = open(folder.path(), BOOT, "3").unwrap();
    assert!(read.distrusted.is_some());
    closed(store);
    assert_eq!(aside(folder.path()).len(), 3);
    let (_, read) = open_afresh(folder.path(), BOOT, "4").unwrap();
    assert_eq!(read, Kept::default());
    let names = aside(folder.path());
    assert!(!names.iter().any(|name| name.contains("aside-1")), "the oldest is gone: {names:?}");
    assert!(names.iter().any(|name| name.ends_with("aside-4")), "{names:?}");
}

#[test]
fn a_row_that_was_changed_or_taken_out_is_found() {
    for change in [
        "UPDATE input SET taken = 7 WHERE text = 'one'",
        "UPDATE input SET text = 'One' WHERE text = 'one'",
        "DELETE FROM input WHERE text = 'one'",
        "UPDATE state SET text = 'another state'",
        "UPDATE pause SET ends = 999",
        "DROP TABLE input",
    ] {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path());
        Connection::open(folder.path().join(FILE)).unwrap().execute_batch(change).unwrap();
        let (_, read) = open(folder.path(), BOOT, "1").unwrap();
        assert!(read.distrusted.is_some(), "{change}");
        assert_eq!(Kept { distrusted: None, ..read }, Kept::default(), "{change}");
    }
}

/// Waits until the thread has taken this.
fn until_taken(store: &mut Store, number: u64) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let taken = store.stored().wait_for(|stored| stored.number >= number);
    let taken = async { tokio::time::timeout(Duration::from_secs(20), taken).await };
    runtime.block_on(taken).expect("within 20 s").expect("a thread").fault.clone()
}

#[test]
fn c15_a_full_disk_is_told_and_nothing_is_stored_with_a_hole_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let (connection, _) = file::read(&folder.path().join(FILE), BOOT).unwrap();
    connection.pragma_update(None, "max_page_count", 12).unwrap();
    let mut store = thread::start(connection).unwrap();
    let well = store.state(BOOT, "a state".into(), vec![]).unwrap();
    assert_eq!(until_taken(&mut store, well), None);
    let long = store.input(at(1), "x".repeat(100_000)).unwrap();
    assert!(until_taken(&mut store, long).unwrap().contains("full"));
    let after = store.input(at(2), "short".into()).unwrap();
    assert!(until_taken(&mut store, after).is_some(), "it may not follow what is missing");
    let again = store.state(BOOT, "another state".into(), vec![]).unwrap();
    assert_eq!(until_taken(&mut store, again), None);
    let goes_on = store.input(at(3), "short".into()).unwrap();
    assert_eq!(until_taken(&mut store, goes_on), None);
    closed(store);
    let (_, read) = open(folder.path(), BOOT, "1").unwrap();
    assert_eq!((read.state.as_deref(), read.inputs), (Some("another state"), vec![(at(3), "short".into())]));
}

#[test]
fn a18_a_pause_that_was_begun_or_ended_while_the_disk_was_full_is_made_good_with_the_next_state() {
    let folder = tempfile::tempdir().unwrap();
    let (connection, _) = file::read(&folder.path().join(FILE), BOOT).unwrap();
    connection.pragma_update(None, "max_page_count", 12).unwrap();
    let mut store = thread::start(connection).unwrap();
    store.pause(pause("web")).unwrap();
    let well = store.state(BOOT, "a state".into(), vec![pause("web"), pause("db")]).unwrap();
    assert_eq!(until_taken(&mut store, well), None);
    let long = store.pause(KeptPause { reason: "x".repeat(100_000), ..pause("app") }).unwrap();
    assert!(until_taken(&mut store, long).unwrap().contains("full"));
    let after = store.resume(Service::new("gone")).unwrap();
    assert!(until_taken(&mut store, after).is_some(), "what was lost is lost still");
    let cure = store.state(BOOT, "another state".into(), vec![pause("app"), pause("db")]).unwrap();
    assert_eq!(until_taken(&mut store, cure), None);
    closed(store);
    let (_, read) = open(folder.path(), BOOT, "1").unwrap();
    assert_eq!(read.pauses, vec![pause("app"), pause("db")]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_never_panics_and_nothing_is_made_up(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let kept = written(folder.path());
        let path = folder.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        for (place, flip) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= flip;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        fs::write(&path, &bytes).unwrap();
        let (_, read) = open(folder.path(), BOOT, "1").unwrap();
        let read = Kept { distrusted: None, ..read };
        prop_assert!(read == kept || read == Kept::default(), "{read:?}");
    }

    #[test]
    fn any_bytes_are_set_aside(bytes in prop::collection::vec(any::<u8>(), 0..5_000), wal in prop::option::of(prop::collection::vec(any::<u8>(), 0..500))) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), &bytes).unwrap();
        if let Some(wal) = wal {
            fs::write(folder.path().join(format!("{FILE}-wal")), wal).unwrap();
        }
        let (_, read) = open(folder.path(), BOOT, "1").unwrap();
        prop_assert_eq!(Kept { distrusted: None, ..read }, Kept::default());
    }
}
