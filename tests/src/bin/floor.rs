//! The least that a restart can take: waits for the end of a unit's main process by its pidfd, and asks systemd for a restart
//! at once. `floor UNIT` says "ready", and ends when systemd has replied. Nothing here checks anything.

use std::{io::Write, process::ExitCode};

use anyhow::{Context, Result};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use zbus::OwnedObjectPath;

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER: (&str, &str) = ("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager");

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match wait_and_restart().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _nobody_else_to_tell = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn wait_and_restart() -> Result<()> {
    let unit = std::env::args().nth(1).context("name a unit")?;
    let bus = zbus::Connection::system().await.context("cannot reach the bus")?;
    let manager =
        zbus::Proxy::new(&bus, SYSTEMD, MANAGER.0, MANAGER.1).await.context("cannot reach systemd")?;
    let path: OwnedObjectPath = manager.call("GetUnit", &(&unit,)).await.context("cannot find the unit")?;
    let service = zbus::Proxy::new(&bus, SYSTEMD, path, "org.freedesktop.systemd1.Service").await;
    let main: u32 =
        service.context("cannot reach the unit")?.get_property("MainPID").await.context("no MainPID")?;
    let main = Pid::from_raw(main.cast_signed()).context("the unit has no main process")?;
    let main = pidfd_open(main, PidfdFlags::empty()).context("cannot open a pidfd")?;
    writeln!(std::io::stdout(), "ready").context("cannot say that it is ready")?;
    poll(&mut [PollFd::new(&main, PollFlags::IN)], None).context("cannot wait")?;
    let _job: OwnedObjectPath =
        manager.call("RestartUnit", &(&unit, "replace")).await.context("cannot restart")?;
    Ok(())
}
