//! Data in, text out: files of a configuration, and what is made of them.

mod bytes;
mod discover;
mod faults;
mod files;
mod notify;
mod sample;
mod schema;
mod values;
mod warnings;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use tempfile::TempDir;

use super::{Fault, Faults, Loaded, load};

/// A folder with these files, which nobody but us may write.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for (name, text) in files {
        write(folder.path(), name, text);
    }
    folder
}

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) {
    let path = folder.join(name);
    let parent = path.parent().expect("a parent");
    fs::create_dir_all(parent).expect("a folder");
    mode(parent, 0o755);
    fs::write(&path, text).expect("a file");
    mode(&path, 0o644);
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

fn load_all(files: &[(&str, &str)]) -> (TempDir, Result<Loaded, Faults>) {
    let folder = folder(files);
    let loaded = load(Some(folder.path()));
    if loaded.is_ok() {
        files.iter().filter(|(name, _)| name.ends_with(".toml")).for_each(|(_, text)| schema::fits(text));
    }
    (folder, loaded)
}

/// The text with the folder's path left out, which differs from run to run.
fn without(folder: &Path, text: &str) -> String {
    let folder = folder.to_str().expect("a path in UTF-8");
    let lines: Vec<_> =
        text.replace(&format!("{folder}/"), "").lines().map(|l| l.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

/// A fault in one line: what was expected, and the help.
fn in_short(fault: &Fault) -> String {
    let labels = match fault {
        Fault::Written(written) => written.spots.iter().map(|(_, label)| label.as_str()).collect(),
        Fault::Absent { .. } | Fault::Unreadable { .. } | Fault::Untrusted { .. } => Vec::new(),
    };
    let help = fault.help();
    format!("{}{}{help}", labels.join(", "), if help.is_empty() { "" } else { "; " })
}
