//! Whether a service could be started again: its own check of its configuration, run as a transient unit.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::{
    model::{Cause, Preflight},
    systemd::{self, Link, Program, Ran},
};

/// A check of a configuration takes milliseconds; one that takes longer says nothing.
const LIMIT: Duration = Duration::from_secs(10);
/// Where its output is kept for as long as it runs: in memory.
const FOLDER: &str = "/run/watchdog";
/// The first lines say what is wrong.
const LINES: usize = 5;
const LENGTH: usize = 300;
const READ: u64 = 16 << 10;

/// Runs it to its end, or to its time-out. Whatever keeps it from saying yes or no counts as [`Preflight::NotRun`].
pub async fn preflight(link: &Link, argv: &[String]) -> Preflight {
    let connection = match link.connection("a preflight").await {
        Ok(connection) => connection,
        Err(fault) => return Preflight::NotRun { why: fault.to_string() },
    };
    let output =
        Output::new().inspect_err(|fault| tracing::warn!(%fault, "a preflight's output is lost")).ok();
    let path = output.as_ref().map(|output| output.0.as_path());
    match systemd::run_transient(&connection, &Program { argv, output: path, ..Program::default() }, LIMIT)
        .await
    {
        Ok(Ran::Ended(Cause::Code(0))) => Preflight::Passed,
        Ok(Ran::Ended(Cause::Code(code))) => failed(format!("ended with code {code}"), output.as_ref()),
        Ok(Ran::Ended(Cause::Signal { signal, .. })) => {
            failed(format!("was ended by signal {signal}"), output.as_ref())
        }
        Ok(Ran::Late) => Preflight::NotRun { why: format!("it did not end within {LIMIT:?}") },
        Err(fault) => Preflight::NotRun { why: fault.to_string() },
    }
}

fn failed(how: String, output: Option<&Output>) -> Preflight {
    Preflight::Failed { how, output: output.map(Output::first_lines).unwrap_or_default() }
}

/// A file that only root can read, and that is gone when it has been read.
struct Output(PathBuf);

impl Output {
    fn new() -> io::Result<Output> {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let folder = Path::new(FOLDER);
        DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("preflight-{}-{run}", std::process::id()));
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Output(path))
    }

    fn first_lines(&self) -> Vec<String> {
        let mut bytes = Vec::new();
        let read = File::open(&self.0).and_then(|file| file.take(READ).read_to_end(&mut bytes));
        read.map(|_| first_lines(&bytes)).unwrap_or_default()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _next_boot_clears_it = std::fs::remove_file(&self.0);
    }
}

fn first_lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let cut = |line: &str| line.chars().filter(|letter| !letter.is_control()).take(LENGTH).collect();
    lines.take(LINES).map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_of_any_output_are_short_and_printable() {
        let nginx = b"nginx: [emerg] unknown directive \"broken\" in /etc/nginx/nginx.conf:3\n\nnginx: configuration file /etc/nginx/nginx.conf test failed\n";
        assert_eq!(
            first_lines(nginx),
            [
                "nginx: [emerg] unknown directive \"broken\" in /etc/nginx/nginx.conf:3",
                "nginx: configuration file /etc/nginx/nginx.conf test failed"
            ]
        );
        let long = [b"\x1b[31m\xff".to_vec(), vec![b'x'; 1_000]].concat();
        assert_eq!(first_lines(&long)[0].chars().count(), LENGTH);
        assert_eq!(first_lines(&b"a\n".repeat(100)).len(), LINES);
        assert_eq!(first_lines(b""), Vec::<String>::new());
    }
}
