//! What is said is for the program as it was called: beside Debian's package `watchdog`, that name is another daemon's. And whoever
//! reads only the beginning of it is no fault.

use anyhow::{Result, ensure};
use watchdog::called::COMMANDS;

use crate::stage::{Stage, play, victim};

/// As packages name it.
const NAME: &str = "/usr/local/bin/service-watchdog";

/// Runs it by that name; it must end with this code and name no command by another. Answers all that it said.
fn said(lab: &Stage, before: &[&str], words: &[&str], code: i32) -> Result<String> {
    let output = lab.run(&[before, &[NAME], words].concat())?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let all = format!("{out}{err}");
    ensure!(output.status.code() == Some(code), "{words:?}: {}, not {code}: {all}", output.status);
    for bare in ["`watchdog ", "`watchdog\n", "sudo watchdog ", "  watchdog "] {
        ensure!(!all.contains(bare), "{words:?} names {bare:?}: {all}");
    }
    Ok(all)
}

fn says(lab: &Stage, before: &[&str], words: &[&str], code: i32, wanted: &str) -> Result<()> {
    let all = said(lab, before, words, code)?;
    ensure!(all.contains(wanted), "{words:?} does not say {wanted:?}: {all}");
    Ok(())
}

#[test]
fn hints_name_the_program_as_it_was_called_and_a_reader_may_leave() -> Result<()> {
    play(|lab| {
        lab.sh(&format!("ln -s watchdog {NAME}"))?;
        lab.victim("victim", 7000, "")?;
        for command in COMMANDS {
            says(lab, &[], &[command, "--help"], 0, &format!("Usage: service-watchdog {command}"))?;
        }
        let nobody = ["setpriv", "--reuid=nobody", "--clear-groups"];
        let absent = "`service-watchdog discover --output /etc/watchdog/watchdog.toml` writes one";
        says(lab, &[], &["check"], 78, absent)?;
        says(lab, &[], &["discover"], 0, "# Written by `service-watchdog discover`")?;
        says(lab, &nobody, &["discover"], 0, "try `sudo service-watchdog discover`")?;
        says(lab, &nobody, &["doctor"], 77, "`sudo service-watchdog doctor`")?;
        says(lab, &nobody, &["drill", "victim"], 77, "`sudo service-watchdog drill`")?;
        lab.write("/etc/monitrc", "set daemon 60\ncheck process victim with pidfile /run/victim.pid\n start program = \"/bin/systemctl start victim\"\n if failed port 7000 protocol http then restart\n")?;
        let import = ["import-monit", "--output", "/run/made.toml"];
        says(lab, &[], &import, 0, "`every_in_use`, set to the length of a cycle")?;
        says(lab, &[], &import, 73, "/run/made.toml is there already, and is not written over")?;
        let made = lab.sh("stat --format %a /run/made.toml; head -1 /run/made.toml")?;
        ensure!(made.starts_with("644\n# Written by `service-watchdog import-monit`"), "{made}");

        lab.configure(&victim("victim", 7000))?;
        lab.sh("chmod a+rx /etc/watchdog; chmod a+r /etc/watchdog/watchdog.toml")?;
        says(lab, &nobody, &["run"], 77, "`sudo service-watchdog run`")?;
        says(lab, &nobody, &["check", "--fix"], 77, "`sudo service-watchdog check --fix`")?;
        for command in ["status", "pause", "resume", "restart", "drill"] {
            said(lab, &[], &[command, "victim"], 69)?;
        }
        let _watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        for (command, codes) in [
            ("status", "0"),
            ("check", "0"),
            ("why victim", "0"),
            ("events", "0"),
            ("doctor", "01"),
            ("discover", "0"),
            ("notify", "0"),
        ] {
            // a pipe that somebody had open to read, and closed
            let said = lab.sh(&format!(
                "rm -f /run/pipe; mkfifo /run/pipe; exec 3<>/run/pipe 4>/run/pipe 3<&-; {{ {NAME} {command} >&4 && echo ended with 0 || echo ended with $?; }} 2>&1"
            ))?;
            let wanted = |code| said.contains(&format!("ended with {code}\n"));
            ensure!(codes.chars().any(wanted) && !said.contains("cannot write"), "{command}: {said}");
        }
        Ok(())
    })
}
