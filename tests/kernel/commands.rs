//! Programs are run that may ask systemd to stop something.

use std::fs;

use anyhow::Result;
use watchdog::model::{CommandRun, Saw};

use crate::stage::play;

#[test]
fn f3_a_program_that_may_ask_systemd_is_told_with_who_runs_it_and_another_is_not() -> Result<()> {
    play(async |stage| {
        stage.run()?;
        let folder = tempfile::tempdir()?;
        let run = |name: &str| -> Result<u32> {
            let program = folder.path().join(name);
            fs::copy("/bin/true", &program)?;
            stage.elsewhere.run(&program)
        };
        run("systemctlx")?;
        run("systemct")?;
        let first = run("systemctl")?;
        let second = run("unattended-upgrade")?;
        for (pid, comm) in [(first, "systemctl"), (second, "unattended-upgr")] {
            let of_stage = stage.elsewhere.id()?;
            let sign =
                stage.find(|saw| matches!(saw, Saw::CommandRun(run) if run.cgroup == of_stage)).await?;
            let unit = stage.elsewhere.name();
            let expected = CommandRun { pid, comm: comm.to_owned(), uid: 0, cgroup: of_stage, unit };
            assert_eq!(sign.saw, Saw::CommandRun(expected));
        }
        Ok(())
    })
}
