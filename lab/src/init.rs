//! The first process of a lab, from fresh namespaces to systemd.
//!
//! Invariant: whatever it mounts lives in its own mount namespace and ends with it. The host's settings are out of reach:
//! /sys and /proc/sys are read-only but for what the namespaces own.

use std::{
    fs,
    os::unix::{fs::symlink, process::CommandExt},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result};
use rustix::{
    fs::{CWD, Mode},
    mount::{
        MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
        mount_change, mount_remount, unmount,
    },
};

use crate::keeper::Order;

/// Becomes systemd; comes back only with an error.
pub(crate) fn become_systemd(order: &Order, state: &Path) -> Result<()> {
    // The host's /proc is still mounted: it tells the PID that the host sees.
    let pid = fs::read_link("/proc/self").context("cannot read /proc/self")?;
    fs::write(state.join("init"), pid.as_os_str().as_encoded_bytes())
        .context("cannot write the lab's PID")?;

    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .context("cannot make mounts private")?;
    let root = lay_over(&order.root, &state.join("root"))?;
    kernel_file_systems(&root)?;
    devices(&root, state)?;
    bind(&state.join("notify"), &root.join("run/host/notify"))?;
    for (program, place) in &order.binds {
        let at = root.join(place.trim_start_matches('/'));
        bind(program, &at)?;
        mount_remount(&at, MountFlags::BIND | MountFlags::RDONLY, "")
            .with_context(|| format!("cannot protect {}", program.display()))?;
    }
    rustix::system::sethostname(b"lab").context("cannot set the host name")?;

    rustix::process::chdir(&root).context("cannot enter the lab's root")?;
    rustix::process::pivot_root(".", ".").context("cannot pivot into the lab's root")?;
    unmount(".", UnmountFlags::DETACH).context("cannot let go of the host's root")?;

    let error = Command::new("/lib/systemd/systemd")
        .args(["--unit=multi-user.target", "--show-status=1"])
        .env_clear()
        .env("PATH", crate::PATH)
        .env("container", "watchdog-lab")
        .env("NOTIFY_SOCKET", "/run/host/notify")
        .exec();
    Err(error).context("cannot run systemd")
}

/// The cached root below, a file system in memory on top: a lab writes what it likes and changes nothing.
fn lay_over(cached: &Path, at: &Path) -> Result<std::path::PathBuf> {
    fs::create_dir_all(at).context("cannot make the lab's mount point")?;
    mount("tmpfs", at, "tmpfs", MountFlags::empty(), c"mode=755").context("cannot mount a tmpfs")?;
    for part in ["lower", "upper", "work", "root"] {
        fs::create_dir(at.join(part)).context("cannot make the overlay's directories")?;
    }
    mount_bind(cached, at.join("lower")).with_context(|| format!("cannot bind {}", cached.display()))?;
    // Relative names: the options of an overlay may hold neither colon nor comma.
    rustix::process::chdir(at).context("cannot enter the lab's mount point")?;
    mount("overlay", "root", "overlay", MountFlags::empty(), c"lowerdir=lower,upperdir=upper,workdir=work")
        .context("cannot mount an overlay: does this kernel have overlayfs?")?;
    Ok(at.join("root"))
}

fn kernel_file_systems(root: &Path) -> Result<()> {
    let guarded = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let file_systems = [
        ("proc", "proc", guarded, c""),
        ("sysfs", "sys", guarded | MountFlags::RDONLY, c""),
        ("cgroup2", "sys/fs/cgroup", guarded, c""),
        ("bpf", "sys/fs/bpf", guarded, c"mode=700"),
        ("tracefs", "sys/kernel/tracing", guarded, c"mode=700"),
        ("tmpfs", "run", MountFlags::NOSUID | MountFlags::NODEV, c"mode=755"),
        ("tmpfs", "tmp", MountFlags::NOSUID | MountFlags::NODEV, c"mode=1777"),
    ];
    for (kind, place, flags, options) in file_systems {
        mount(kind, root.join(place), kind, flags, options)
            .with_context(|| format!("cannot mount {kind} at /{place} of the lab"))?;
    }
    let sysctl = root.join("proc/sys");
    mount_bind(&sysctl, &sysctl).context("cannot bind /proc/sys")?;
    mount_remount(&sysctl, MountFlags::BIND | MountFlags::RDONLY, "").context("cannot protect /proc/sys")?;
    // These two belong to the lab's own namespaces.
    for own in ["proc/sys/net", "proc/sys/kernel/ns_last_pid"] {
        let own = root.join(own);
        mount_bind(&own, &own).with_context(|| format!("cannot bind {}", own.display()))?;
        mount_remount(&own, MountFlags::BIND, "")
            .with_context(|| format!("cannot open {}", own.display()))?;
    }
    let trigger = root.join("proc/sysrq-trigger");
    if trigger.exists() {
        mount_bind("/dev/null", &trigger).context("cannot hide /proc/sysrq-trigger")?;
    }
    Ok(())
}

fn devices(root: &Path, state: &Path) -> Result<()> {
    let dev = root.join("dev");
    mount("tmpfs", &dev, "tmpfs", MountFlags::NOSUID, c"mode=755").context("cannot mount /dev of the lab")?;
    for node in ["null", "zero", "full", "random", "urandom", "tty"] {
        bind(&Path::new("/dev").join(node), &dev.join(node))?;
    }
    fs::create_dir(dev.join("pts")).context("cannot make /dev/pts")?;
    fs::create_dir(dev.join("shm")).context("cannot make /dev/shm")?;
    mount(
        "devpts",
        dev.join("pts"),
        "devpts",
        MountFlags::NOSUID,
        c"newinstance,ptmxmode=0666,mode=620,gid=5",
    )
    .context("cannot mount /dev/pts")?;
    mount("tmpfs", dev.join("shm"), "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=1777")
        .context("cannot mount /dev/shm")?;
    let links = [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ];
    for (name, goal) in links {
        symlink(goal, dev.join(name)).with_context(|| format!("cannot link /dev/{name}"))?;
    }
    bind(&state.join("console"), &dev.join("console"))
}

/// Shows the file at `what` at `at`, which is made.
fn bind(what: &Path, at: &Path) -> Result<()> {
    if let Some(parent) = at.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    if !at.exists() {
        rustix::fs::mknodat(CWD, at, rustix::fs::FileType::RegularFile, Mode::from_raw_mode(0o755), 0)
            .with_context(|| format!("cannot make {}", at.display()))?;
    }
    mount_bind_recursive(what, at).with_context(|| format!("cannot show {} in the lab", what.display()))
}
