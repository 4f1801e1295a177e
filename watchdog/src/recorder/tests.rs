use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Doing, Error, Recorder, Settings, Subject, shelf};
use crate::{
    clock,
    model::{IncidentId, Moment, Mono, Recorded, Service, Wall},
};

fn subject(logs: Vec<PathBuf>) -> Subject {
    Subject {
        service: Service::new("web"),
        unit: "web.service".parse().expect("a unit's name"),
        state: None,
        incident: IncidentId { run: 0xabc, number: 3 },
        moment: Moment::Death,
        logs,
    }
}

fn record(recorder: &mut Recorder, subject: Subject) -> Result<Recorded, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(recorder.record(subject))
}

/// What is in the file once all of it is written: its thread has ended.
fn whole(recorder: Recorder, path: &Path) -> String {
    let progress = std::sync::Arc::downgrade(&recorder.progress);
    drop(recorder);
    while progress.strong_count() > 0 {
        std::thread::yield_now();
    }
    fs::read_to_string(path).expect("the evidence")
}

#[test]
fn f9_what_is_left_after_a_death_is_kept_for_root_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let incidents = folder.path().join("incidents");
    let log = folder.path().join("web.log");
    fs::write(&log, "cannot go on\x1b[31m\n").expect("a log");
    let mut recorder = Recorder::new(incidents.clone(), Settings::default());
    let recorded = record(&mut recorder, subject(vec![log])).expect("it is kept");
    assert_eq!((recorded.missing, recorded.moment), (None, Moment::Death));
    let name = recorded.path.file_name().and_then(|name| name.to_str()).expect("a name");
    assert!(name.ends_with("Z-web-00000abc-3-death.txt"), "{name}");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&recorded.path), mode(&incidents)), (0o600, 0o700));
    let text = whole(recorder, &recorded.path);
    assert!(text.contains("service web, unit web.service, incident 00000abc-3, after its end"), "{text}");
    assert!(text.contains("no process of it is left") && text.contains("cannot go on\u{fffd}[31m"), "{text}");
}

#[test]
fn f9_a_file_is_no_longer_than_was_set_and_no_part_longer_than_a_quarter_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let logs: Vec<PathBuf> = (0..10).map(|number| folder.path().join(format!("{number}.log"))).collect();
    for log in &logs {
        fs::write(log, "a line of thirty-two letters, é\n".repeat(1000)).expect("a log");
    }
    let settings = Settings { size: 8192, ..Settings::default() };
    let mut recorder = Recorder::new(folder.path().join("incidents"), settings);
    let recorded = record(&mut recorder, subject(logs)).expect("it is kept");
    let text = whole(recorder, &recorded.path);
    assert!(text.len() <= 8192, "{} bytes", text.len());
    let longest = text.split("\n== ").map(str::len).max().expect("a part");
    assert!(longest <= 2048, "{longest} bytes");
}

#[test]
fn f9_a_recording_that_hangs_is_told_to_the_next_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut recorder = Recorder::new(folder.path().into(), Settings::default());
    let what = "/proc/812/task/812/stack".to_owned();
    let hangs = Doing { number: 0, until: Mono(1), what, file: None };
    *recorder.progress.lock().expect("nobody panicked") = Some(hangs);
    let fault = record(&mut recorder, subject(Vec::new())).expect_err("it is stuck");
    assert!(matches!(&fault, Error::Stuck { what } if what == "/proc/812/task/812/stack"), "{fault}");
    assert!(recorder.tasks.is_none(), "no thread joins it");
}

#[test]
fn f9_a_folder_that_cannot_be_made_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("incidents"), "in the way").expect("a file");
    let mut recorder = Recorder::new(folder.path().join("incidents"), Settings::default());
    let fault = record(&mut recorder, subject(Vec::new())).expect_err("it has no place");
    assert!(matches!(fault, Error::File { .. }), "{fault}");
}

#[test]
fn f9_the_oldest_evidence_goes_by_number_and_by_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = |folder: &Path| {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        names.join(" ")
    };
    for day in 1..=5 {
        fs::write(folder.path().join(format!("2026010{day}T000000Z-web.txt")), "x".repeat(100))
            .expect("a file");
    }
    fs::write(folder.path().join("notes.txt"), "an operator's").expect("a file");
    let settings = |files, total| Settings { files, total, ..Settings::default() };
    shelf::tidy(folder.path(), &settings(4, 10_000));
    assert_eq!(
        names(folder.path()),
        "20260102T000000Z-web.txt 20260103T000000Z-web.txt 20260104T000000Z-web.txt 20260105T000000Z-web.txt notes.txt"
    );
    shelf::tidy(folder.path(), &settings(4, 250));
    assert_eq!(names(folder.path()), "20260104T000000Z-web.txt 20260105T000000Z-web.txt notes.txt");
    shelf::tidy(folder.path(), &settings(4, 1));
    assert_eq!(names(folder.path()), "20260105T000000Z-web.txt notes.txt");
}

#[test]
fn two_of_one_second_do_not_take_each_others_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let now = Wall(1_700_000_000_000_000);
    let (first, _) = shelf::open(folder.path(), now, &subject(Vec::new())).expect("a file");
    let (second, _) = shelf::open(folder.path(), now, &subject(Vec::new())).expect("a file");
    assert!(first.ends_with("20231114T221320Z-web-00000abc-3-death.txt"), "{}", first.display());
    assert!(second.ends_with("20231114T221320Z-web-00000abc-3-death.1.txt"), "{}", second.display());
}

#[test]
fn f9_the_answer_comes_in_time_though_nobody_takes_the_task() {
    let folder = tempfile::tempdir().expect("a folder");
    let within = Duration::from_millis(100);
    let mut recorder = Recorder::new(folder.path().into(), Settings { within, ..Settings::default() });
    let (tasks, _nobody_reads) = std::sync::mpsc::sync_channel(1);
    recorder.tasks = Some(tasks);
    let began = clock::now();
    let fault = record(&mut recorder, subject(Vec::new())).expect_err("nobody records");
    assert!(matches!(fault, Error::Late { .. }), "{fault}");
    assert!(clock::now().since(began) >= within * 9 / 10);
}
