//! Reads of files that the kernel writes as they are read: bounded, for some have no end of their own.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// At most so many bytes of a file's beginning.
pub(super) fn head(path: &Path, most: usize) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most as u64).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
