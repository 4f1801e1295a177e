//! Workers that die one after the other under a healthy master: somebody hears of it, though every client is answered, and nothing
//! is restarted. Workers that leave in a graceful reload are no such thing.

use anyhow::{Result, ensure};

use crate::stage::{SOON, WEB, is_alert, not_restarted, play};

/// Kills one worker by a fault, and waits until another has its place. Those that die together count once.
const KILL_ONE: &str = "
    master=$(systemctl show --value --property MainPID nginx.service)
    worker=$(pgrep --parent $master | head --lines 1)
    kill -SEGV $worker
    while kill -0 $worker 2>/dev/null || ! pgrep --parent $master >/dev/null; do sleep 0.02; done
    sleep 0.11
";

#[test]
fn f13_a_storm_of_dying_workers_is_told_once_and_nothing_is_restarted() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        let watchdog = lab.guard(WEB, &["web"])?;
        let master = lab.main_pid("nginx.service")?;
        lab.sh(&format!("for n in 1 2 3 4 5 6 7; do {KILL_ONE} done"))?;
        let alert = watchdog.wait_for("the storm", SOON, |e| is_alert(e, "web", "of its processes died"))?;
        ensure!(alert.0.to_string().contains("SIGSEGV"), "{}", alert.0);
        lab.sh(&format!("for n in 1 2 3 4 5; do {KILL_ONE} done"))?;
        ensure!(lab.get("http://127.0.0.1/")?.status == 200, "it answers all the while");
        let alerts =
            watchdog.events().into_iter().filter(|e| is_alert(e, "web", "of its processes died")).count();
        ensure!(alerts == 1, "told {alerts} times");
        not_restarted(&watchdog, "web")?;
        ensure!(lab.main_pid("nginx.service")? == master, "the master lives");
        Ok(())
    })
}

#[test]
fn f13_workers_that_leave_in_graceful_reloads_are_no_storm() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        let watchdog = lab.guard(WEB, &["web"])?;
        lab.sh("for n in 1 2 3 4 5 6 7 8; do systemctl reload nginx.service; sleep 0.2; done")?;
        lab.sh(KILL_ONE)?; // after them: told, and one is no storm
        watchdog.wait_for("the death of one worker", SOON, |e| {
            e.data("saw")["exit"]["cause"]["signal"]["signal"] == 11
        })?;
        let told = watchdog.events().into_iter().find(|e| e.data("why")["worker_storm"].is_object());
        ensure!(told.is_none(), "told as a storm");
        not_restarted(&watchdog, "web")
    })
}
