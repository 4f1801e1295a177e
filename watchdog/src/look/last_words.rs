//! What a unit wrote last, as its journal has it.

use std::{io, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use crate::model::Unit;

/// A journal that is stuck or very large is not waited for.
const LIMIT: Duration = Duration::from_secs(2);
const LINES: &str = "5";
const LENGTH: usize = 300;

/// Why the last words of a unit are not known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// journalctl cannot be run.
    #[error("cannot run `journalctl -u {unit}`: {source}")]
    CannotRun {
        /// Whose words were wanted.
        unit: Unit,
        /// Why.
        source: io::Error,
    },
    /// It takes too long.
    #[error("`journalctl -u {unit}` took longer than {LIMIT:?}")]
    Late {
        /// Whose words were wanted.
        unit: Unit,
    },
}

/// The last lines of a unit's journal, systemd's own among them.
///
/// # Errors
/// [`Error`]; a journal without a line of the unit is no error.
pub async fn last_words(unit: &Unit) -> Result<Vec<String>, Error> {
    let mut command = Command::new("journalctl");
    command.args(["--unit", unit.as_str(), "--lines", LINES, "--output", "cat", "--no-pager", "--quiet"]);
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = timeout(LIMIT, command.output()).await.map_err(|_| Error::Late { unit: unit.clone() })?;
    let output = output.map_err(|source| Error::CannotRun { unit: unit.clone(), source })?;
    Ok(lines(&output.stdout))
}

/// Lines as they may stand in a record: without control characters, and not without end.
fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let plain = |line: &str| line.chars().filter(|letter| !letter.is_control()).take(LENGTH).collect();
    text.lines().map(plain).filter(|line: &String| !line.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_plain_and_not_without_end() {
        let said = lines(b"\x1b[31mno such file\x1b[0m\n\n \nmain.c:12\xff\n");
        assert_eq!(said, ["[31mno such file[0m", "main.c:12\u{fffd}"]);
        assert_eq!(lines("x".repeat(1_000).as_bytes())[0].len(), LENGTH);
    }
}
