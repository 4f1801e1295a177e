//! The main process is systemd's word, not a file's.

use anyhow::Result;
use rustix::process::Signal;

use crate::stage::{SOON, WEB, play, recovered_once};

#[test]
fn c18_a_pid_file_that_names_another_process_misleads_nobody() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        let watchdog = lab.guard(WEB, &["web"])?;
        // PID 1 lives for ever: who trusted the file would hold nginx for well.
        lab.write("/run/nginx.pid", "1\n")?;
        let old = lab.main_pid("nginx.service")?;
        lab.kill_main(Signal::KILL, "nginx.service")?;
        lab.until_replaced("nginx.service", old, SOON)?;
        recovered_once(&watchdog, "web", SOON)?;
        lab.until_answers("http://127.0.0.1/", SOON)
    })
}
