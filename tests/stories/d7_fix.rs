//! `watchdog check --fix`: drop-ins of our own making, and vendors' files as they were.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    b13_check::check,
    stage::{SOON, WEB, play, recovered_once, victim},
};

const PLACE: &str = "/etc/systemd/system/nginx.service.d/50-watchdog.conf";

#[test]
fn d7_a_vendors_unit_without_restart_is_kept_untouched_and_gets_a_drop_in_only_when_asked() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        let vendors = lab.property("nginx.service", "FragmentPath")?;
        let before = lab.read(&vendors)?;
        let watchdog = lab.guard(WEB, &["web"])?;
        let old = lab.main_pid("nginx.service")?;
        lab.kill_main(rustix::process::Signal::KILL, "nginx.service")?;
        lab.until_replaced("nginx.service", old, SOON)?;
        recovered_once(&watchdog, "web", SOON)?;
        let untouched = || lab.sh(&format!("test ! -e {PLACE}"));
        untouched()?;

        let said = check(lab, &["--fix", "--dry-run"], 0)?;
        ensure!(said.contains(PLACE) && said.contains("Restart=on-failure"), "{said}");
        untouched()?;
        let said = check(lab, &["--fix"], 0)?;
        ensure!(said.contains(&format!("to undo: rm {PLACE} && systemctl daemon-reload")), "{said}");
        ensure!(lab.property("nginx.service", "Restart")? == "on-failure", "systemd has not read it");
        ensure!(lab.read(&vendors)? == before, "the vendor's file was changed");
        let main = lab.main_pid("nginx.service")?;

        let written = lab.read(PLACE)?;
        let said = check(lab, &["--fix"], 0)?;
        ensure!(said.contains("nothing to fix"), "{said}");
        ensure!(
            lab.read(PLACE)? == written && lab.main_pid("nginx.service")? == main,
            "the second time changed something"
        );
        lab.sh(&format!("rm {PLACE} && systemctl daemon-reload"))?;
        ensure!(lab.property("nginx.service", "Restart")? == "no", "it is not undone");
        Ok(())
    })
}

#[test]
fn d7_a_drop_in_of_ours_is_renewed_and_one_of_another_is_left_alone() -> Result<()> {
    play(|lab| {
        lab.victim("app", 7001, "Restart=on-failure\nRestartSec=15s")?;
        lab.nginx()?;
        lab.configure(&(WEB.to_owned() + &victim("app", 7001)))?;
        lab.write(PLACE, "[Service]\nNice=5\n")?;
        lab.sh("systemctl daemon-reload")?;
        let said = check(lab, &["--fix"], 73)?;
        ensure!(said.contains("is not of watchdog's making"), "{said}");
        ensure!(lab.read(PLACE)? == "[Service]\nNice=5\n", "it was written over");
        // the other unit's is written all the same
        let app = "/etc/systemd/system/app.service.d/50-watchdog.conf";
        ensure!(lab.read(app)?.contains("StartLimitIntervalSec=150s"), "{}", lab.read(app)?);
        lab.write("/etc/systemd/system/app.service.d/60-slower.conf", "[Service]\nRestartSec=60s\n")?;
        lab.sh(&format!("rm {PLACE}; systemctl daemon-reload"))?;
        let said: Value = serde_json::from_str(&check(lab, &["--fix", "--json"], 0)?).context("no JSON")?;
        ensure!(
            said["written"] == true && said["drop_ins"].as_array().is_some_and(|all| all.len() == 2),
            "{said}"
        );
        let renewed = lab.read(app)?;
        ensure!(renewed.contains("StartLimitIntervalSec=600s") && !renewed.contains("150s"), "{renewed}");
        let nobody = ["setpriv", "--reuid=nobody", "--clear-groups", lab::PROGRAM, "check", "--fix"];
        lab.sh("chmod a+rx /etc/watchdog; chmod a+r /etc/watchdog/watchdog.toml")?;
        ensure!(lab.run(&nobody)?.status.code() == Some(77), "not only root may");
        Ok(())
    })
}

#[test]
fn c12_watchdogs_own_unit_gets_what_its_configuration_needs() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        lab.configure(
            &(WEB.to_owned() + "[service.web.log]\npath = \"/var/log/app/access.log\"\nstatus = \"5xx\"\n"),
        )?;
        lab.sh("mkdir -m 700 /var/log/app; touch /var/log/app/access.log; chown -R www-data: /var/log/app")?;
        let unit = format!(
            "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart={} run\nRestart=always\nOOMScoreAdjust=-900\nFileDescriptorStoreMax=64\nCapabilityBoundingSet=CAP_BPF CAP_PERFMON\n",
            lab::PROGRAM
        );
        lab.unit("watchdog.service", &unit)?;
        let said = check(lab, &[], 0)?;
        ensure!(said.contains("watchdog.service: CapabilityBoundingSet=CAP_DAC_READ_SEARCH"), "{said}");
        check(lab, &["--fix"], 0)?;
        let caps = lab.property("watchdog.service", "CapabilityBoundingSet")?;
        ensure!(caps.contains("cap_dac_read_search") && caps.contains("cap_bpf"), "{caps}");
        let said = check(lab, &[], 0)?;
        ensure!(!said.contains("CAP_DAC_READ_SEARCH"), "{said}");
        Ok(())
    })
}
