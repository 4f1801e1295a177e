//! The packages: from a file to the first watched service, upgrades, farewells, and the other `watchdog` of Debian.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use lab::Plan;
use rustix::process::Signal;
use tempfile::TempDir;
use xtask::packages::{Contents, Kind, NAME, Squeeze, deb, rpm};

use crate::stage::{self, SOON, Stage, play_on, victim};

/// The unit of the package.
pub(crate) const UNIT: &str = "service-watchdog.service";
/// Where a lab finds the package, and the next version of it.
pub(crate) const DEB: &str = "/opt/service-watchdog_1_amd64.deb";
const NEXT: &str = "/opt/service-watchdog_2_amd64.deb";
const OTHER: &str = "/opt/watchdog_5.16_amd64.deb";

/// A lab that has this program's package, its next version, and a stand-in for Debian's package `watchdog` at hand.
pub(crate) struct Packed {
    pub(crate) plan: Plan,
    contents: Contents,
    folder: TempDir,
}

impl Packed {
    pub(crate) fn new() -> Result<Packed> {
        let program = Path::new(env!("CARGO_BIN_EXE_watchdog-under-test"));
        let folder = tempfile::tempdir()?;
        let mut contents = Contents::of(program, "1.0")?;
        let first = deb::build(&contents, folder.path(), Squeeze::Quickly)?;
        contents.version = "1.1".into();
        let next = deb::build(&contents, folder.path(), Squeeze::Quickly)?;
        let other = debians_own(folder.path())?;
        // without the program that other stories have in /usr/local/bin
        let plan = Plan::new(stage::KEEPER)
            .with(env!("CARGO_BIN_EXE_victim"), "/usr/local/bin/victim")
            .with(first, DEB)
            .with(next, NEXT)
            .with(other, OTHER);
        Ok(Packed { plan, contents, folder })
    }
}

/// A package with the paths of Debian's `watchdog`, whose daemon leaves a trace when it is started.
fn debians_own(folder: &Path) -> Result<PathBuf> {
    let root = folder.join("other");
    let files = [
        (
            "DEBIAN/control",
            0o644,
            "Package: watchdog\nVersion: 5.16\nArchitecture: all\nMaintainer: nobody <root@localhost>\nDescription: stands in for Debian's\n",
        ),
        ("DEBIAN/conffiles", 0o644, "/etc/watchdog.conf\n"),
        ("etc/watchdog.conf", 0o644, "interval = 1\n"),
        ("usr/sbin/watchdog", 0o755, "#!/bin/sh\necho \"$@\" >> /run/hardware-watchdog\n"),
        (
            "lib/systemd/system/watchdog.service",
            0o644,
            "[Service]\nType=oneshot\nExecStart=/usr/sbin/watchdog\nRemainAfterExit=yes\n[Install]\nWantedBy=default.target\n",
        ),
        ("usr/share/man/man8/watchdog.8.gz", 0o644, ""),
        ("usr/share/man/man5/watchdog.conf.5.gz", 0o644, ""),
        ("usr/share/doc/watchdog/copyright", 0o644, ""),
    ];
    for (place, mode, text) in files {
        let path = root.join(place);
        fs::create_dir_all(path.parent().context("no folder")?)?;
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    let to = folder.join("watchdog.deb");
    let status = Command::new("dpkg-deb")
        .args(["--root-owner-group", "--nocheck", "--build"])
        .arg(&root)
        .arg(&to)
        .output()?;
    ensure!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    Ok(to)
}

fn install(lab: &Stage, deb: &str) -> Result<()> {
    lab.exec(&["apt-get", "install", "-y", "-q", deb]).map(drop)
}

/// Installs the package, and has it watch with this configuration.
pub(crate) fn install_with(lab: &Stage, configuration: &str) -> Result<()> {
    lab.configure(configuration)?;
    install(lab, DEB)?;
    lab.until_state(UNIT, "active", SOON)
}

/// What the victim has left of its budget, such as `2 of 3 in 5m`.
fn restarts_left(lab: &Stage) -> Result<String> {
    let table = lab.exec(&[NAME, "status"]);
    let table = table.or_else(|_not_well| {
        lab.run(&[NAME, "status"]).map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    })?;
    let row = table.lines().find(|line| line.starts_with("victim")).context(table.clone())?;
    Ok(row.split_whitespace().skip(4).take(5).collect::<Vec<_>>().join(" "))
}

#[test]
fn dist_from_the_package_to_the_first_watched_service_in_three_commands() -> Result<()> {
    play_on(&Packed::new()?.plan, |lab| {
        lab.nginx()?;
        lab.exec(&["apt-get", "install", "-y", "-q", DEB])?;
        // enabled and begun; without a configuration it is not begun again and again
        lab.until(SOON, || {
            let state = lab.property(UNIT, "ActiveState")?;
            ensure!(["failed", "active"].contains(&state.as_str()), "{UNIT} is {state}");
            Ok(())
        })?;
        lab.sh("printf '[service.web]\\nunit = \"nginx.service\"\\n[service.web.heartbeat]\\nurl = \"http://localhost/\"\\n' | tee /etc/watchdog/watchdog.toml")?;
        lab.exec(&["systemctl", "restart", NAME])?;

        lab.exec(&["systemctl", "is-enabled", UNIT])?;
        lab.until(SOON, || lab.exec(&[NAME, "status"]))?;
        let old = lab.main_pid("nginx.service")?;
        lab.kill_main(Signal::KILL, "nginx.service")?;
        lab.until_replaced("nginx.service", old, SOON)?;
        lab.until_answers("http://127.0.0.1/", SOON)?;

        // it goes by the name that it is called by
        for name in [NAME, "watchdog"] {
            let help = lab.exec(&[name, "status", "--help"])?;
            ensure!(help.contains(&format!("Usage: {name} status")), "{help}");
        }
        lab.exec(&["dpkg", "--verify", NAME])?;
        lab.sh("test -s /usr/share/man/man8/service-watchdog-status.8.gz; test -s /usr/share/man/man5/watchdog.toml.5.gz")?;
        lab.sh("test -s /usr/share/bash-completion/completions/service-watchdog")?;
        for of in ["config", "events", "status"] {
            let packed = lab.read(&format!("/usr/share/service-watchdog/{of}.schema.json"))?;
            assert_eq!(packed, lab.exec(&[NAME, "schema", of])?);
            let schema: serde_json::Value = serde_json::from_str(&packed)?;
            ensure!(schema["$schema"].is_string() && schema["type"] == "object", "{of}: {packed}");
        }
        Ok(())
    })
}

#[test]
fn dist_an_upgrade_keeps_probes_and_counters_a_removal_keeps_the_state_and_a_purge_nothing() -> Result<()> {
    play_on(&Packed::new()?.plan, |lab| {
        lab.victim("victim", 7000, "")?;
        install_with(lab, &victim("victim", 7000))?;
        lab.until(SOON, || lab.exec(&[NAME, "status"]))?;
        let old = lab.main_pid("victim.service")?;
        lab.kill_main(Signal::KILL, "victim.service")?;
        let main = lab.until_replaced("victim.service", old, SOON)?;
        let left = lab.until(SOON, || {
            let left = restarts_left(lab)?;
            ensure!(left.starts_with("2 of 3"), "{left}");
            Ok(left)
        })?;

        let (own, kept) = (lab.main_pid(UNIT)?, lab.property(UNIT, "NFileDescriptorStore")?);
        ensure!(kept != "0", "no probe is kept");
        install(lab, NEXT)?;
        lab.until_replaced(UNIT, own, SOON)?;
        assert_eq!(lab.exec(&["dpkg-query", "-W", "-f", "${Version}", NAME])?, "1.1");
        assert_eq!(lab.property(UNIT, "NFileDescriptorStore")?, kept, "the probes are others");
        let log = lab.exec(&["journalctl", "--unit", UNIT, "--output=cat"])?;
        ensure!(log.contains("goes on with the probes of the watchdog before"), "{log}");
        assert_eq!(restarts_left(lab)?, left, "after the upgrade");
        lab.until(SOON, || {
            let status = lab.exec(&[NAME, "status"])?;
            ensure!(
                status.contains("last incident "),
                "it has forgotten what was before the upgrade: {status}"
            );
            Ok(())
        })?;
        assert_eq!(lab.main_pid("victim.service")?, main, "the service was touched");

        lab.exec(&["apt-get", "remove", "-y", "-q", NAME])?;
        assert_eq!(lab.property(UNIT, "ActiveState")?, "inactive");
        lab.sh("test ! -e /usr/bin/watchdog; test -s /etc/watchdog/watchdog.toml; ls /var/lib/watchdog/*")?;
        install(lab, NEXT)?;
        lab.until_state(UNIT, "active", SOON)?;
        assert_eq!(restarts_left(lab)?, left, "after it was gone for a while");

        lab.exec(&["apt-get", "purge", "-y", "-q", NAME])?;
        let gone = "for it in /var/lib/watchdog /etc/watchdog /run/watchdog /usr/share/service-watchdog /usr/bin/watchdog /usr/bin/service-watchdog; do
            test ! -e $it || { echo $it is left; exit 1; }; done";
        lab.sh(gone)?;
        let links = lab.sh("find /etc/systemd /var/lib/systemd -name '*service-watchdog*'")?;
        ensure!(links.is_empty(), "left behind: {links}");
        assert_eq!(lab.main_pid("victim.service")?, main, "the service was touched");
        Ok(())
    })
}

#[test]
fn dist_beside_debians_watchdog_no_name_is_taken_and_its_daemon_is_never_started() -> Result<()> {
    play_on(&Packed::new()?.plan, |lab| {
        lab.victim("victim", 7000, "")?;
        lab.exec(&["dpkg", "--install", OTHER])?;
        install_with(lab, &victim("victim", 7000))?;
        lab.until(SOON, || lab.exec(&[NAME, "status"]))?;
        lab.exec(&["dpkg", "--verify", NAME, "watchdog"])?;
        lab.sh("test ! -e /usr/bin/watchdog; test ! -e /run/hardware-watchdog")?;
        assert_eq!(lab.property("watchdog.service", "ActiveState")?, "inactive");

        // the short name is there as long as nobody else has it
        lab.exec(&["dpkg", "--remove", "watchdog"])?;
        assert_eq!(lab.exec(&["readlink", "-f", "/usr/bin/watchdog"])?.trim(), "/usr/bin/service-watchdog");
        lab.exec(&["watchdog", "status"])?;
        lab.exec(&["dpkg", "--install", OTHER])?;
        lab.sh("test ! -e /usr/bin/watchdog; test ! -e /run/hardware-watchdog")?;
        lab.exec(&[NAME, "status"])?;

        // one that an administrator has put there is not ours to take away
        lab.exec(&["dpkg", "--purge", "watchdog"])?;
        lab.sh("rm /usr/bin/watchdog; install /usr/bin/true /usr/local/bin/watchdog")?;
        lab.exec(&["dpkg", "--install", NEXT])?;
        lab.sh("test ! -e /usr/bin/watchdog; test -e /usr/local/bin/watchdog").map(drop)
    })
}

#[test]
fn dist_the_package_for_rpm_holds_the_same_files_and_restarts_on_an_upgrade_alone() -> Result<()> {
    let mut packed = Packed::new()?;
    // its checksums take a minute in a program that was not built to be fast
    packed
        .contents
        .entries
        .iter_mut()
        .filter(|it| it.kind == Kind::Program)
        .for_each(|it| it.bytes.truncate(4096));
    let path = rpm::build(&packed.contents, packed.folder.path(), Squeeze::Quickly)?;
    let package = ::rpm::Package::open(&path)?;
    let metadata = &package.metadata;
    assert_eq!(metadata.get_name()?, NAME);
    let packed_files = metadata.get_file_entries()?;
    for entry in &packed.contents.entries {
        let file = packed_files.iter().find(|file| file.path() == Path::new(&entry.place));
        let file = file.with_context(|| format!("{} is not in it", entry.place))?;
        assert_eq!(file.size(), entry.bytes.len(), "{}", entry.place);
        assert_eq!(file.permissions(), entry.kind.mode(), "{}", entry.place);
        let kept = file.flags().contains(::rpm::FileFlags::CONFIG | ::rpm::FileFlags::NOREPLACE);
        assert_eq!(kept, entry.kind == Kind::Configuration, "{}", entry.place);
    }
    let post = metadata.get_post_install_script()?.script;
    let preun = metadata.get_pre_uninstall_script()?.script;
    let postun = metadata.get_post_uninstall_script()?.script;
    ensure!(post.contains("systemctl --no-reload preset") && post.contains("link_short_name\n"), "{post}");
    ensure!(preun.contains("\"$1\" -eq 0") && preun.contains("disable --now"), "{preun}");
    ensure!(postun.contains("\"$1\" -ge 1") && postun.contains("try-restart"), "{postun}");
    for script in [post, preun, postun] {
        let status = Command::new("sh").args(["-n", "-c", &script]).status()?;
        ensure!(status.success(), "no shell reads this:\n{script}");
    }
    Ok(())
}
