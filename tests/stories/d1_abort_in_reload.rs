//! The night's classic: Apache aborts while logrotate reloads it.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use lab::Backend;
use rustix::process::Signal;

use crate::stage::{SOON, play, recovered_once};

#[test]
fn d1_d2_apache_that_aborts_during_a_reload_is_back_at_once_and_its_story_tells_of_the_reload() -> Result<()>
{
    play(|lab| {
        lab.apache_with_php(Backend::Unix, 80)?;
        lab.until_answers("http://127.0.0.1/plain.html", SOON)?;
        // the reload goes on until it is given the word
        lab.hold_word()?;
        lab.unit("apache2.service.d/word.conf", "[Service]\nExecReload=/usr/bin/flock /run/word true\n")?;
        let configuration = "[service.apache]
unit = \"apache2.service\"
[service.apache.heartbeat]
url = \"http://127.0.0.1/plain.html\"
";
        let watchdog = lab.guard(configuration, &["apache"])?;
        let old = lab.main_pid("apache2.service")?;
        let mut reload = lab.command("systemctl");
        reload.args(["reload", "apache2.service"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut reload = reload.spawn().context("cannot reload")?;
        lab.until_state("apache2.service", "reloading", SOON)?;
        lab.kill_main(Signal::ABORT, "apache2.service")?;
        lab.exec(&["systemctl", "stop", "word.service"])?;
        lab.until_replaced("apache2.service", old, SOON)?;
        lab.until_answers("http://127.0.0.1/plain.html", SOON)?;
        let recovered = recovered_once(&watchdog, "apache", SOON)?;
        let story = recovered.0.to_string();
        ensure!(story.contains("SIGABRT") && story.contains("a reload of the unit began"), "{story}");
        reload.wait().context("cannot wait for the reload")?;
        Ok(())
    })
}
