//! The hash of everything that the object is made of.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Crates of ours that end up in the object.
const CRATES: [&str; 2] = ["watchdog-common", "watchdog-ebpf"];

/// The hash of the sources, of the locked versions of the crates that end up in the object, and of the flags.
pub(super) fn hash(root: &Path) -> Result<String> {
    let mut files = BTreeSet::new();
    for name in CRATES {
        files.insert(root.join(name).join("Cargo.toml"));
        collect(&root.join(name).join("src"), &mut files)?;
    }
    let mut sum = Sha256::new();
    for file in &files {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.strip_prefix(root)?.to_string_lossy();
        sum.update(format!("{name} {}\n", bytes.len()));
        sum.update(&bytes);
    }
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    for package in locked(&lock) {
        sum.update(package);
    }
    sum.update(format!("{:?} {:?}", super::FLAGS, super::PROFILE));
    Ok(hex(&sum.finalize()))
}

/// The hash of some bytes.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn collect(folder: &Path, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.insert(path);
        }
    }
    Ok(())
}

/// The crates of the kernel side, as Cargo.lock has them. What only helps to build them may change without a new object.
fn locked(lock: &str) -> impl Iterator<Item = &str> {
    lock.split("[[package]]").filter(|package| package.trim_start().starts_with("name = \"aya-ebpf"))
}
