//! Configurations in, TOML and reports out.

mod bytes;
mod golden;
mod includes;
mod words;

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{Answers, Report, Script, convert, faults, read};

/// Reads a file with this text, which is called `monitrc` in every place.
fn script(text: &[u8]) -> Script {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("monitrc");
    fs::write(&path, text).expect("a file");
    let mut script = read(&[path]).expect("a file that can be read");
    script.files.iter_mut().for_each(|file| *file = PathBuf::from(file.file_name().unwrap_or_default()));
    script
}

fn import(text: &str) -> Report {
    convert(&script(text.as_bytes()), &Answers::new(), None)
}

/// What holds for every report: it loads, and every statement has one fate.
fn holds(script: &Script, report: &Report) {
    assert_eq!(report.statements.len(), script.said.len());
    if !report.services.is_empty() {
        assert_eq!(faults(&report.toml), None, "{}", report.toml);
    }
}

fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/import/tests/golden").join(name)
}
