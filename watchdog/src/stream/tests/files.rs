//! Real files, pipes and devices.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
    time::Duration,
};

use expect_test::expect;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{numbered, until};
use crate::stream::{Opened, Settings, Sink, Stream, read};

fn open(path: &Path) -> Result<Stream, crate::stream::Error> {
    Stream::open(&Settings { sinks: vec![Sink::File(path.to_owned())] }, &path.with_extension("kept"))
}

fn lines_of(path: &Path) -> usize {
    let text = fs::read_to_string(path).unwrap();
    text.lines().inspect(|line| drop(read(line).unwrap())).count()
}

#[test]
fn a_file_is_made_for_root_and_its_group_and_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    for runs in 1..=2 {
        let stream = open(&path).unwrap();
        stream.write(&numbered(1));
        assert_eq!(stream.close(Duration::from_secs(20)), 0);
        assert_eq!(lines_of(&path), runs);
    }
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o027, 0);
}

#[test]
fn a_line_that_a_crash_cut_does_not_spoil_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    fs::write(&path, "{\"specver").unwrap();
    let stream = open(&path).unwrap();
    stream.write(&numbered(1));
    assert_eq!(stream.close(Duration::from_secs(20)), 0);
    let text = fs::read_to_string(&path).unwrap();
    let (cut, whole) = text.split_once('\n').unwrap();
    assert_eq!(cut, "{\"specver");
    read(whole.trim_end()).unwrap();
}

#[test]
fn a_rotated_file_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (folder.path().join("events.jsonl"), folder.path().join("events.jsonl.1"));
    let stream = open(&path).unwrap();
    stream.write(&numbered(1));
    until("the line is written", || stream.state()[0].queued == 0);
    fs::rename(&path, &old).unwrap();
    stream.write(&numbered(2));
    until("the line is written to the old file", || stream.state()[0].queued == 0);
    stream.reopen();
    stream.write(&numbered(3));
    assert_eq!(stream.close(Duration::from_secs(20)), 0);
    assert_eq!((lines_of(&old), lines_of(&path)), (2, 1));
}

#[test]
fn a_pipe_without_a_reader_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let stream = open(&path).unwrap();
    stream.write(&numbered(1));
    let first = BufReader::new(fs::File::open(&path).unwrap()).lines().next().unwrap().unwrap();
    read(&first).unwrap();
    // That reader is gone by now; the next one gets whole lines again.
    stream.write(&numbered(2));
    // One that comes just as the writer learns that the last is gone reads an end, and opens the pipe again as readers of pipes do.
    let second = loop {
        if let Some(line) = BufReader::new(fs::File::open(&path).unwrap()).lines().next() {
            break line.unwrap();
        }
    };
    assert_eq!(read(&second).unwrap().record, numbered(2));
}

#[test]
fn a_full_device_loses_nothing_in_silence() {
    let stream = open(Path::new("/dev/full")).unwrap();
    (0..5).for_each(|number| stream.write(&numbered(number)));
    until("the fault is told", || stream.state()[0].fault.is_some());
    assert_eq!(stream.close(Duration::from_secs(20)), 5);
}

#[test]
fn what_is_no_file_is_refused_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    symlink("/etc/passwd", &link).unwrap();
    let refused = |path: &Path| {
        let settings = Settings { sinks: vec![Sink::File(path.to_owned())] };
        let error = Opened::open(&settings, folder.path()).err().unwrap().to_string();
        error.replace(&*folder.path().to_string_lossy(), "FOLDER")
    };
    let paths = [folder.path(), &link, &folder.path().join("nowhere/events")];
    expect![[r#"
        cannot open the event file FOLDER: Is a directory (os error 21) (see [watchdog] events)
        cannot open the event file FOLDER/link: Too many levels of symbolic links (os error 40) (see [watchdog] events)
        cannot open the event file FOLDER/nowhere/events: No such file or directory (os error 2) (see [watchdog] events)"#]].assert_eq(&paths.map(refused).join("\n"));
}

#[test]
fn a_folder_that_is_not_there_yet_keeps_nobody_from_starting_and_a_link_does() {
    let folder = tempfile::tempdir().unwrap();
    let [late, link] = ["late", "link"].map(|name| folder.path().join(name));
    symlink("/etc/passwd", &link).unwrap();
    assert!(open(&link).is_err());
    let stream = open(&late.join("events")).unwrap();
    stream.write(&numbered(1));
    until("the fault is told", || stream.state()[0].fault.is_some());
    fs::create_dir(&late).unwrap();
    until("it is written", || late.join("events").exists() && lines_of(&late.join("events")) == 1);
    assert_eq!(stream.close(Duration::from_secs(20)), 0);
}

#[test]
fn other_sinks_take_over_between_two_records_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let [old, both, new] = ["old", "both", "new"].map(|name| folder.path().join(name));
    let sinks = |paths: [&Path; 2]| Settings { sinks: paths.map(|path| Sink::File(path.to_owned())).into() };
    let mut stream = Stream::open(&sinks([&old, &both]), folder.path()).unwrap();
    stream.write(&numbered(1));
    stream.replace(Opened::open(&sinks([&both, &new]), folder.path()).unwrap()).unwrap();
    stream.write(&numbered(2));
    stream.write(&numbered(3));
    assert_eq!(stream.close(Duration::from_secs(20)), 0);
    until("the old sink is empty", || lines_of(&old) == 1);
    assert_eq!((lines_of(&both), lines_of(&new)), (3, 2));
}
