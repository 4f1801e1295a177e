//! What a guest boots from: the lab's root file system, and over it the programs and what starts them.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::{Boot, kernel::Kernel, programs::Programs};

/// Programs, and where a guest has them.
const PROGRAMS: [(&str, &str); 6] = [
    ("watchdog-under-test", "usr/local/bin/watchdog"),
    ("victim", "usr/local/bin/victim"),
    ("systemd-puppet", "usr/local/bin/systemd-puppet"),
    ("vm-stories", "vm/stories"),
    ("kernel", "vm/kernel"),
    ("puppet", "vm/puppet"),
];

/// What watchdog and the tests have the kernel load.
const MODULES: [&str; 3] =
    ["kernel/net/ipv4/inet_diag.ko", "kernel/net/ipv4/tcp_diag.ko", "kernel/net/unix/unix_diag.ko"];
/// What a newer kernel's modules are packed with.
const PACKED: &str = ".xz";

/// None of these has anything to find in a guest, and each reload of systemd would wait for all: seconds, by emulation.
const GENERATORS: &str = "usr/lib/systemd/system-generators";

/// Runs all of it. The results go over a serial line of their own: a getty may take the console's.
const RUN: &str = r#"#!/bin/sh
exec >/dev/ttyS1 2>&1
stty -F /dev/ttyS1 raw
echo 1 > /sys/devices/system/cpu/cpu1/online || echo "vm: it has one CPU"
depmod
puppet=$(cat /vm/puppet-path) # the tests know it by the place where it was built
mkdir -p "${puppet%/*}" && ln -s /vm/puppet "$puppet"
for filters in /vm/filters/*; do
    program=${filters##*/?-}
    set -- $(cat "$filters")
    "/vm/$program" --test-threads=1 "$@"
    echo "vm: $program ended with $?"
done
systemctl poweroff --force --force
"#;

const UNIT: &str = "[Unit]
Description=The tests of this virtual machine
After=multi-user.target
[Service]
Type=exec
ExecStart=/vm/run
";

/// Answers the file. Nothing in it is compressed: that would cost the guest more time than it saves.
pub(crate) fn build(folder: &Path, kernel: &Kernel, programs: &Programs, boot: &Boot<'_>) -> Result<PathBuf> {
    let root = ::lab::prepare()?;
    let base = base(&root, folder)?;
    let layer = layer(&root, folder, kernel, programs, boot)?;
    let image = folder.join("initrd");
    fs::copy(&base, &image).with_context(|| format!("cannot write {}", image.display()))?;
    let mut file = File::options().append(true).open(&image).context("cannot open the initrd")?;
    let mut more = File::open(&layer).with_context(|| format!("cannot read {}", layer.display()))?;
    io::copy(&mut more, &mut file).context("cannot write the initrd")?;
    Ok(image)
}

/// The lab's root file system, without what nobody reads there. Made once.
fn base(root: &Path, folder: &Path) -> Result<PathBuf> {
    let name = root.file_name().context("the lab's root has no name")?;
    let base = folder.join(name).with_extension("cpio");
    if !base.is_file() {
        let unfinished = base.with_extension("unfinished");
        pack(
            root,
            &["usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists"],
            &unfinished,
        )?;
        fs::rename(&unfinished, &base).with_context(|| format!("cannot finish {}", base.display()))?;
    }
    Ok(base)
}

fn layer(
    root: &Path,
    folder: &Path,
    kernel: &Kernel,
    programs: &Programs,
    boot: &Boot<'_>,
) -> Result<PathBuf> {
    let layer = folder.join("layer");
    if layer.exists() {
        fs::remove_dir_all(&layer).with_context(|| format!("cannot remove {}", layer.display()))?;
    }
    for (name, at) in PROGRAMS {
        copy(programs.file(name)?, &layer.join(at))?;
    }
    let modules = layer.join("usr/lib/modules").join(&kernel.version);
    for name in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        copy(&kernel.modules().join(name), &modules.join(name))?;
    }
    for module in MODULES {
        let packed = format!("{module}{PACKED}");
        let name = if kernel.modules().join(&packed).is_file() { &packed } else { module };
        copy(&kernel.modules().join(name), &modules.join(name))?;
    }
    // in the order of their names
    for (name, filters) in [("1-stories", Some(boot.stories)), ("2-kernel", boot.kernel)] {
        if let Some(filters) = filters {
            write(&layer.join("vm/filters").join(name), &filters.join(" "))?;
        }
    }
    write(
        &layer.join("vm/puppet-path"),
        programs.file("puppet")?.to_str().context("target/ has no plain name")?,
    )?;
    let run = layer.join("vm/run");
    write(&run, RUN)?;
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).context("cannot make vm/run a program")?;
    write(&layer.join("usr/lib/systemd/system/vm.service"), UNIT)?;
    let wanted = layer.join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wanted).context("cannot make the guest's folders")?;
    symlink("/usr/lib/systemd/system/vm.service", wanted.join("vm.service"))
        .context("cannot link vm.service")?;
    mask_generators(root, &layer)?;
    symlink("usr/lib/systemd/systemd", layer.join("init")).context("cannot link /init")?;
    let packed = folder.join("layer.cpio");
    pack(&layer, &[], &packed)?;
    Ok(packed)
}

fn mask_generators(root: &Path, layer: &Path) -> Result<()> {
    let masks = layer.join("etc/systemd/system-generators");
    fs::create_dir_all(&masks).context("cannot make the guest's folders")?;
    let generators = root.join(GENERATORS);
    for generator in
        fs::read_dir(&generators).with_context(|| format!("cannot read {}", generators.display()))?
    {
        let name = generator.with_context(|| format!("cannot read {}", generators.display()))?.file_name();
        symlink("/dev/null", masks.join(name)).context("cannot mask a generator")?;
    }
    Ok(())
}

fn copy(file: &Path, to: &Path) -> Result<()> {
    parent(to)?;
    fs::copy(file, to)
        .with_context(|| format!("cannot copy {} to {}", file.display(), to.display()))
        .map(drop)
}

fn write(file: &Path, text: &str) -> Result<()> {
    parent(file)?;
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn parent(file: &Path) -> Result<()> {
    let parent = file.parent().with_context(|| format!("{} has no folder", file.display()))?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))
}

/// A folder as the kernel unpacks it at boot.
fn pack(folder: &Path, without: &[&str], into: &Path) -> Result<()> {
    let out = File::create(into).with_context(|| format!("cannot write {}", into.display()))?;
    let leave_out: String = without.iter().map(|path| format!("-path ./{path} -prune -o ")).collect();
    let line = format!(
        "set -e; find . -mindepth 1 {leave_out} -print0 | cpio --quiet --null --create --format=newc"
    );
    let mut pack = Command::new("sh");
    let status = pack.args(["-c", &line]).current_dir(folder).stdin(Stdio::null()).stdout(out).status();
    let status = status.context("cannot run sh")?;
    ensure!(status.success(), "cannot pack {}: cpio ended with {status}", folder.display());
    Ok(())
}
