use std::{fs::OpenOptions, io::Read, os::unix::fs::OpenOptionsExt, path::Path};

use rustix::fs::OFlags;

use super::{holders::unit_in, program::group};

/// A PID and the end of its line.
const READ: u64 = 64;

/// The service unit that the process of a PID file belongs to now; `None` where there is no such process, or it is of no unit.
pub fn owner(pid_file: &Path) -> Option<String> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(pid_file).ok()?;
    let mut text = String::new();
    file.take(READ).read_to_string(&mut text).ok()?;
    let unit = unit_in(&group(text.trim().parse().ok()?));
    unit.ends_with(".service").then_some(unit)
}
