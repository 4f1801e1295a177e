//! The root file system of every lab: built once by mmdebstrap, kept under `target/lab/`, never written to again.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

/// What is installed, beside Debian's smallest set.
const PACKAGES: [&str; 9] =
    ["systemd-sysv", "dbus", "iproute2", "curl", "nginx-light", "apache2", "php-fpm", "procps", "kmod"];

/// What runs in the finished root; `$1` is its path. Tests start the servers that they need; nothing may wake by itself.
const FINISH: &str = r#"
echo lab > "$1/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost\n' > "$1/etc/hosts"
rm -f "$1/etc/resolv.conf"
mkdir -p "$1/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\nAudit=no\nRateLimitBurst=0\n' > "$1/etc/systemd/journald.conf.d/lab.conf"
fpm=$(basename "$1"/usr/lib/systemd/system/php*-fpm.service)
chroot "$1" systemctl disable --quiet nginx.service apache2.service "$fpm"
for unit in systemd-sysctl.service systemd-udevd.service systemd-udev-trigger.service console-getty.service \
    getty.target apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    phpsessionclean.timer systemd-tmpfiles-clean.timer systemd-pcrphase.service systemd-pcrphase-sysinit.service; do
    ln -sf /dev/null "$1/etc/systemd/system/$unit"
done
"#;

/// The root file system, built first where it is not there yet or its recipe has changed. Several may ask at once.
pub fn prepare() -> Result<PathBuf> {
    let recipe = Recipe::of_this_machine()?;
    let folder = target_directory()?.join("lab");
    let root = folder.join(format!("root-{}", recipe.stamp()));
    if root.is_dir() {
        return Ok(root);
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let lock = File::create(folder.join("lock")).context("cannot lock the root file systems")?;
    flock(&lock, FlockOperation::LockExclusive).context("cannot lock the root file systems")?;
    if !root.is_dir() {
        recipe.build(&root)?;
    }
    Ok(root)
}

/// Cargo's target directory that this program was built into.
pub fn target_directory() -> Result<PathBuf> {
    let own = env::current_exe().context("cannot find this program's own file")?;
    let tagged = own.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    tagged
        .map(Path::to_path_buf)
        .with_context(|| format!("cannot find cargo's target directory above {}", own.display()))
}

/// What is in the root, and where it comes from.
struct Recipe {
    suite: String,
    /// One-line sources of apt; empty where mmdebstrap is to choose.
    sources: Vec<String>,
}

impl Recipe {
    /// The release of this machine where it is a Debian or a descendant: programs built here must find their libraries
    /// there. Else Debian 12.
    fn of_this_machine() -> Result<Recipe> {
        let os = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
        let codename = os.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        match codename.filter(|_| Path::new("/etc/apt").is_dir()) {
            Some(suite) => Ok(Recipe { suite: suite.into(), sources: sources_of(suite)? }),
            None => Ok(Recipe { suite: "bookworm".into(), sources: Vec::new() }),
        }
    }

    /// Changes with the contents; another mirror has the same.
    fn stamp(&self) -> String {
        let mut hash = Sha256::new();
        for part in PACKAGES.into_iter().chain([FINISH, &self.suite]) {
            hash.update(part);
            hash.update([0]);
        }
        hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    fn build(&self, root: &Path) -> Result<()> {
        crate::tools::install(&crate::tools::LAB)?;
        eprintln!("building the lab's root file system ({}) in {}", self.suite, root.display());
        let unfinished = root.with_extension("unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)
                .with_context(|| format!("cannot remove {}", unfinished.display()))?;
        }
        let mut command = Command::new("mmdebstrap");
        command.args(["--quiet", "--mode=root", "--format=directory", "--variant=minbase"]);
        command.arg(format!("--include={}", PACKAGES.join(",")));
        command.args(["--aptopt=Acquire::Retries \"5\"", "--aptopt=Acquire::Languages \"none\""]);
        command.args(settings_of_apt()?.iter().map(|setting| format!("--aptopt={setting}")));
        command.arg(format!("--customize-hook={}", FINISH.trim()));
        command.arg(&self.suite).arg(&unfinished).args(&self.sources).stdin(Stdio::null());
        let status = command.stdout(Stdio::null()).status().context("cannot run mmdebstrap")?;
        ensure!(status.success(), "cannot build the lab's root file system: mmdebstrap: {status}");
        fs::rename(&unfinished, root).with_context(|| format!("cannot finish {}", root.display()))
    }
}

/// How this machine reaches its mirrors: proxies and the like.
fn settings_of_apt() -> Result<Vec<String>> {
    let dump = Command::new("apt-config").args(["dump", "--no-empty", "Acquire"]).output();
    let dump = String::from_utf8(dump.context("cannot run apt-config")?.stdout)
        .context("cannot read apt's settings")?;
    let wanted = ["Acquire::http::", "Acquire::https::", "Acquire::Check-"];
    let lines = dump
        .lines()
        .filter(|line| wanted.iter().any(|w| line.starts_with(w)) && !line.contains("::User-Agent"));
    Ok(lines.map(|line| line.trim_end_matches(';').to_owned()).collect())
}

/// Where this machine gets `suite` and its updates from, as one-line sources; other vendors' are left out.
fn sources_of(suite: &str) -> Result<Vec<String>> {
    let listed = Command::new("apt-get")
        .args(["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"])
        .output()
        .context("cannot ask apt for its sources")?;
    let releases = [suite.to_owned(), format!("{suite}-updates"), format!("{suite}-security")];
    let mut sources = Vec::new();
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        if let [uri, release, component @ ("main" | "universe")] = fields[..]
            && releases.iter().any(|r| r == release)
        {
            sources.push(format!("deb {uri} {release} {component}"));
        }
    }
    sources.sort();
    sources.dedup();
    Ok(sources)
}
