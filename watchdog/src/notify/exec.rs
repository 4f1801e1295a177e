//! One run of a program: a transient unit of systemd, so that it has a cgroup of its own that is killed whole at the deadline, and
//! nothing of watchdog's sandbox, memory locks and priorities.

use std::{
    collections::VecDeque,
    fs::{DirBuilder, remove_file},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{io::AsyncReadExt, net::UnixListener, select};

use super::{Error, Exec};
use crate::{
    model::Cause,
    systemd::{self, Link, Program, Ran},
};

/// Where its output is listened for.
const FOLDER: &str = "/run/watchdog";
/// So much of the end of its output is told.
const TAIL: usize = 400;
/// What it wrote last may still be on its way when it has ended.
const REST: Duration = Duration::from_secs(1);

/// A program that can be run again and again.
#[derive(Debug)]
pub(super) struct Runs {
    pub(super) argv: Vec<String>,
    pub(super) user: Option<String>,
}

impl Runs {
    pub(super) fn new(settings: &Exec) -> Runs {
        Runs { argv: settings.argv.clone(), user: settings.user.clone() }
    }

    pub(super) fn who(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }

    /// Good is exit code 0, and nothing else.
    pub(super) async fn run(
        &self,
        link: &Link,
        input: &[u8],
        facts: &[(&str, String)],
        timeout: Duration,
    ) -> Result<(), Error> {
        let connection = link.connection(self.who()).await?;
        let listens =
            Listens::new().inspect_err(|fault| tracing::warn!(%fault, "a program's output is lost")).ok();
        let environment: Vec<String> = facts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let program = Program {
            argv: &self.argv,
            user: self.user.as_deref(),
            output: listens.as_ref().map(|listens| listens.path.as_path()),
            input: Some(input),
            environment: &environment,
        };
        let running = systemd::run_transient(&connection, &program, timeout);
        let mut tail = Tail::default();
        let ran = match &listens {
            Some(listens) => listens.beside(running, &mut tail).await,
            None => running.await,
        };
        let failed = |how: String| {
            let (program, said) = (self.who().to_owned(), tail.text());
            Err(Error::Program { program, how, said })
        };
        match ran? {
            Ran::Ended(Cause::Code(0)) => Ok(()),
            Ran::Ended(Cause::Code(code)) => failed(format!("ended with code {code}")),
            Ran::Ended(Cause::Signal { signal, .. }) => failed(format!("was ended by signal {signal}")),
            Ran::Late => failed(format!("was not done within {timeout:?}, and was killed")),
        }
    }
}

/// A socket that a program's output comes to: as much as it likes to write, of which the end is kept.
struct Listens {
    path: PathBuf,
    listener: UnixListener,
}

impl Listens {
    fn new() -> io::Result<Listens> {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let folder = Path::new(FOLDER);
        DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("notify-{}-{run}.sock", std::process::id()));
        let listener = UnixListener::bind(&path)?;
        Ok(Listens { path, listener })
    }

    /// Listens until the program has ended and all that it wrote is read.
    async fn beside<T>(&self, running: impl Future<Output = T>, tail: &mut Tail) -> T {
        let listen = async {
            let Ok((mut stream, _)) = self.listener.accept().await else { return };
            let mut bytes = [0; 8192];
            while let Ok(read @ 1..) = stream.read(&mut bytes).await {
                tail.push(&bytes[..read]);
            }
        };
        let (mut listen, mut running) = (std::pin::pin!(listen), std::pin::pin!(running));
        select! {
            biased;
            () = &mut listen => running.await,
            ran = &mut running => {
                tokio::time::timeout(REST, listen).await.ok();
                ran
            }
        }
    }
}

impl Drop for Listens {
    fn drop(&mut self) {
        let _next_boot_clears_it = remove_file(&self.path);
    }
}

/// The end of what was written.
#[derive(Debug, Default)]
struct Tail(VecDeque<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend(bytes.iter().rev().take(TAIL).rev());
        let long = self.0.len().saturating_sub(TAIL);
        self.0.drain(..long);
    }

    fn text(&self) -> String {
        let bytes: Vec<u8> = self.0.iter().copied().collect();
        let text: String = String::from_utf8_lossy(&bytes)
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        text.trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_megabytes_of_output_the_end_is_kept() {
        let mut tail = Tail::default();
        (0..1_000).for_each(|_| tail.push(&[b'x'; 8192]));
        tail.push(b"\nthe\x1b end\n");
        let text = tail.text();
        assert_eq!(text.len(), TAIL - 1);
        assert!(text.ends_with("x the  end"), "{text}");
    }
}
