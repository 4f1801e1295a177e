//! Why a service does not answer, as far as its processes show it: stopped by a signal, or without a free descriptor.

use anyhow::{Context, Result, ensure};

use crate::stage::{QUICK, SOON, is_restart, play, recovered_once, victim};

#[test]
fn f2_a_stopped_service_is_suspect_at_once_and_its_restart_says_who_stopped_it() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "TimeoutStopSec=1\n")?;
        let watchdog = lab.guard(&(victim("victim", 7000) + "timeout = \"1s\"\n"), &["victim"])?;
        let old = lab.main_pid("victim.service")?;
        lab.kill("STOP", old)?;
        lab.until_replaced("victim.service", old, SOON)?;
        let text = recovered_once(&watchdog, "victim", SOON)?.0.to_string();
        let by = format!("process {old} stands still: signal SIGSTOP by process ");
        ensure!(text.contains(&by), "it does not say {by:?}: {text}");
        ensure!(text.contains(&format!("process {old} (victim) is stopped (T)")), "{text}");
        let at = |what: &'static str, is: &dyn Fn(&lab::Event) -> bool| -> Result<u64> {
            let found = watchdog.events().into_iter().find(|event| is(event));
            found.and_then(|event| event.data("mono_us").as_u64()).context(what)
        };
        let sent = at("no signal", &|e| e.data("saw")["signal_sent"]["signal"] == 19)?;
        let suspect = at("no suspicion", &|e| e.data("why")["stopped"].is_object())?;
        ensure!(suspect == sent, "the suspicion is as old as the signal: {sent} {suspect}");
        Ok(())
    })
}

#[test]
fn f2_a_service_without_a_free_descriptor_says_so_when_it_is_restarted() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "LimitNOFILE=32\nTimeoutStopSec=1\n")?;
        let more = format!("timeout = \"1s\"\n{QUICK}");
        let watchdog = lab.guard(&(victim("victim", 7000) + &more), &["victim"])?;
        let old = lab.main_pid("victim.service")?;
        // its clients are kept by a server that does not answer
        lab.get("http://127.0.0.1:7000/mode/silent")?;
        lab.sh("for n in $(seq 40); do curl --silent --max-time 30 http://127.0.0.1:7000/ >/dev/null 2>&1 & done")?;
        let restart = watchdog.wait_for("a restart", SOON, |e| is_restart(e, "victim"))?;
        lab.until_replaced("victim.service", old, SOON)?;
        let text: String = watchdog.events().iter().map(|event| event.0.to_string()).collect();
        ensure!(text.contains("(victim) has 32 of 32 descriptors open"), "{}", restart.0);
        Ok(())
    })
}
