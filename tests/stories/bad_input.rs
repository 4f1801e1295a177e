//! What cannot be run with is refused: a message that says what to do, an exit code of sysexits, never a half-started daemon.

use anyhow::{Result, ensure};

use crate::stage::{SOON, Stage, is_alert, play, recovered_once, victim};

/// Runs `watchdog run` with these words before it; it must refuse with this code and say these words.
fn refused(lab: &Stage, before: &[&str], code: i32, words: &[&str]) -> Result<()> {
    let argv = [before, &["timeout", "10", lab::PROGRAM, "run"]].concat();
    let output = lab.run(&argv)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(code), "{}, not {code}; it said: {said}", output.status);
    for word in words {
        ensure!(said.contains(word), "it does not say {word:?}: {said}");
    }
    ensure!(output.stdout.is_empty(), "it told events: {}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

fn refused_with(configuration: &str, words: &[&str]) -> Result<()> {
    play(|lab| {
        lab.configure(configuration)?;
        refused(lab, &[], 78, words)
    })
}

#[test]
fn bad_input_an_empty_configuration_is_refused() -> Result<()> {
    refused_with("", &["watchdog.toml", "service"])
}

#[test]
fn bad_input_every_fault_is_told_at_once_with_its_line() -> Result<()> {
    let configuration = "[service.web]
unit = \"nginx\"
colour = \"red\"
[service.web.heartbeat]
url = \"http://\"
timeout = \"soon\"
";
    refused_with(
        configuration,
        &["colour", "watchdog.toml:3", "watchdog.toml:2", "watchdog.toml:5", "watchdog.toml:6"],
    )
}

#[test]
fn bad_input_two_services_that_claim_one_unit_are_refused() -> Result<()> {
    let claim = |name: &str| victim(name, 7000).replace(&format!("{name}.service"), "nginx.service");
    refused_with(&(claim("one") + &claim("two")), &["nginx.service", "one", "two"])
}

#[test]
fn bad_input_without_root_it_says_so() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        lab.configure(&victim("victim", 7000))?;
        lab.sh("chmod a+rx /etc/watchdog; chmod a+r /etc/watchdog/watchdog.toml")?;
        refused(lab, &["setpriv", "--reuid=nobody", "--clear-groups"], 77, &["root"])
    })
}

#[test]
fn bad_input_without_systemd_it_says_so() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        lab.configure(&victim("victim", 7000))?;
        let hidden = "mount -t tmpfs tmpfs /run/systemd; mount -t tmpfs tmpfs /run/dbus; exec \"$@\"";
        refused(lab, &["unshare", "--mount", "sh", "-ec", hidden, "sh"], 69, &["systemd"])
    })
}

#[test]
fn bad_input_a_second_instance_is_refused() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let _first = lab.guard(&victim("victim", 7000), &["victim"])?;
        refused(lab, &[], 75, &["another watchdog"])?;
        let elsewhere = "[watchdog]\nstate_directory = \"/var/lib/elsewhere\"\n".to_owned();
        lab.configure(&(elsewhere + &victim("victim", 7000)))?;
        refused(lab, &[], 75, &["another watchdog", "/run/watchdog/lock"])
    })
}

#[test]
fn bad_input_without_bpf_it_says_what_it_lacks_and_runs_on() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        lab.configure(&victim("victim", 7000))?;
        let without =
            ["setpriv", "--bounding-set=-bpf,-sys_admin,-perfmon", "--inh-caps=-bpf,-sys_admin,-perfmon"];
        let argv = [&without[..], &["timeout", "--preserve-status", "5", lab::PROGRAM, "run"]].concat();
        let output = lab.run(&argv)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{}, not until it was told to end: {said}", output.status);
        ensure!(said.contains("CAP_BPF"), "it does not say what it lacks: {said}");
        Ok(())
    })
}

#[test]
fn bad_input_an_absent_unit_is_a_warning_and_the_others_are_guarded() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let configuration = victim("absent", 7009) + &victim("victim", 7000);
        let watchdog = lab.guard(&configuration, &["victim"])?;
        watchdog.wait_for("a warning", SOON, |e| is_alert(e, "absent", "absent.service"))?;
        let old = lab.main_pid("victim.service")?;
        lab.kill_main(rustix::process::Signal::KILL, "victim.service")?;
        lab.until_replaced("victim.service", old, SOON)?;
        recovered_once(&watchdog, "victim", SOON).map(drop)
    })
}
