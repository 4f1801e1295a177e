//! The end of a log.

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

/// Of one log.
const TAIL: usize = 32 << 10;

/// Its last lines. A pipe that nobody writes to is no log, and is not waited for; no link is followed.
pub(super) fn last(path: &Path, most: usize) -> String {
    tail(path, most.min(TAIL)).unwrap_or_else(|fault| format!("not shown: {fault}"))
}

fn tail(path: &Path, most: usize) -> io::Result<String> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_NOCTTY);
    let file = options.open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Ok("not shown: it is no file".into());
    }
    let begin = about.len().saturating_sub(most as u64);
    let mut bytes = vec![0; most];
    let length = file.read_at(&mut bytes, begin)?;
    let text = String::from_utf8_lossy(&bytes[..length]);
    let whole = if begin == 0 { &*text } else { text.split_once('\n').map_or("", |(_, rest)| rest) };
    Ok(whole.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f9_of_a_log_its_last_whole_lines_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        std::fs::write(&path, "first line\nsecond line\nthird\n").expect("a file");
        assert_eq!(last(&path, 15), "third\n");
        assert_eq!(last(&path, 1000), "first line\nsecond line\nthird\n");
        assert!(last(&folder.path().join("none"), 10).starts_with("not shown: No such file"));
    }

    #[test]
    fn f9_what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).expect("a pipe");
        assert_eq!(last(&path, 10), "not shown: it is no file");
    }
}
