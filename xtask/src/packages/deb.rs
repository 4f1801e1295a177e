//! The package for Debian and its descendants, by dpkg-deb.

use std::{
    env::consts::ARCH,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use super::{Contents, DESCRIPTION, Kind, NAME, SUMMARY, Squeeze};

const NAME_SCRIPT: &str = include_str!("scripts/name.sh");
const SCRIPTS: [(&str, &str); 3] = [
    ("postinst", include_str!("scripts/postinst.sh")),
    ("prerm", include_str!("scripts/prerm.sh")),
    ("postrm", include_str!("scripts/postrm.sh")),
];
/// Tells us when another program of that name comes or goes.
const TRIGGERS: &str = "interest-noawait /usr/sbin/watchdog\n";

/// Builds `service-watchdog_VERSION_ARCH.deb` in this folder; answers its path.
pub fn build(contents: &Contents, to: &Path, squeeze: Squeeze) -> Result<PathBuf> {
    let staged = tempfile::tempdir().context("cannot make a temporary folder")?;
    // mode 0700 of a temporary folder would become that of the host's root
    let root = staged.path().join("root");
    for entry in &contents.entries {
        write(&root, &entry.place, entry.kind.mode(), &entry.bytes)?;
    }
    write(&root, "/DEBIAN/md5sums", 0o644, &sums(&root, contents)?)?;
    write(&root, "/DEBIAN/control", 0o644, control(contents)?.as_bytes())?;
    write(&root, "/DEBIAN/conffiles", 0o644, conffiles(contents).as_bytes())?;
    write(&root, "/DEBIAN/triggers", 0o644, TRIGGERS.as_bytes())?;
    for (name, script) in SCRIPTS {
        let script = script.replace("@name@\n", NAME_SCRIPT);
        write(&root, &format!("/DEBIAN/{name}"), 0o755, script.as_bytes())?;
    }
    let deb = to.join(format!("{NAME}_{}_{}.deb", contents.version, architecture()?));
    let mut command = Command::new("dpkg-deb");
    command.args(["--root-owner-group", "--build"]);
    command.args(match squeeze {
        Squeeze::Well => ["-Zxz", "-z6"],
        Squeeze::Quickly => ["-Zgzip", "-z1"],
    });
    let output = command.arg(&root).arg(&deb).output();
    let output = output.context("cannot run dpkg-deb (Debian's package dpkg)")?;
    ensure!(output.status.success(), "dpkg-deb: {}", String::from_utf8_lossy(&output.stderr));
    Ok(deb)
}

fn write(root: &Path, place: &str, mode: u16, bytes: &[u8]) -> Result<()> {
    let path = root.join(place.trim_start_matches('/'));
    let fault = || format!("cannot write {}", path.display());
    let folder = path.parent().with_context(fault)?;
    fs::create_dir_all(folder).with_context(fault)?;
    for folder in folder.ancestors().take_while(|above| above.starts_with(root)) {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).with_context(fault)?;
    }
    fs::write(&path, bytes).with_context(fault)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode.into())).with_context(fault)
}

/// For `dpkg --verify`.
fn sums(root: &Path, contents: &Contents) -> Result<Vec<u8>> {
    let files = contents.entries.iter().filter(|entry| entry.kind != Kind::Configuration);
    let mut command = Command::new("md5sum");
    command.args(files.map(|entry| entry.place.trim_start_matches('/'))).current_dir(root);
    let output = command.output().context("cannot run md5sum")?;
    ensure!(output.status.success(), "md5sum: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

fn conffiles(contents: &Contents) -> String {
    let files = contents.entries.iter().filter(|entry| entry.kind == Kind::Configuration);
    files.map(|entry| format!("{}\n", entry.place)).collect()
}

fn control(contents: &Contents) -> Result<String> {
    let size: usize = contents.entries.iter().map(|entry| entry.bytes.len().div_ceil(1024)).sum();
    let description: Vec<String> = DESCRIPTION.lines().map(|line| format!(" {line}")).collect();
    Ok(format!(
        "Package: {NAME}\nVersion: {}\nArchitecture: {}\nMaintainer: The watchdog authors <root@localhost>\n\
         Installed-Size: {size}\nDepends: libc6 (>= {}), libgcc-s1, systemd (>= 247), procps\n\
         Section: admin\nPriority: optional\nDescription: {SUMMARY}\n{}\n",
        contents.version,
        architecture()?,
        contents.glibc,
        description.join("\n")
    ))
}

/// Debian's word for the machine that this was built on.
fn architecture() -> Result<&'static str> {
    Ok(match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "riscv64" => "riscv64",
        other => bail!("no package for {other} yet: build from source"),
    })
}
