//! What this host, and this process on it, may be looked at with.

use std::{fs, path::Path};

use rustix::{
    system::uname,
    thread::{CapabilitySet, capabilities},
};

use crate::systemd;

/// What was found; what cannot be read counts as not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The kernel's release.
    pub kernel: String,
    /// Capabilities that this process lacks of those that it can use.
    pub lacks: Vec<&'static str>,
    /// A filter of system calls is on this process (`SystemCallFilter=`, a container's).
    pub filtered: bool,
    /// The mode of lockdown, such as `none` or `confidentiality`; empty where the kernel has none.
    pub lockdown: String,
    /// The kernel tells its own types (BTF).
    pub types: bool,
    /// tracefs is mounted where it is looked for.
    pub tracefs: bool,
    /// The cgroup file system.
    pub cgroups: Cgroups,
    /// cgroup2 has the memory controller.
    pub memory: bool,
    /// The kernel measures pressure (PSI).
    pub pressure: bool,
    /// This is the host's own PID namespace.
    pub first_pid_namespace: bool,
    /// This is the network namespace of the first process.
    pub first_net_namespace: bool,
}

/// Which cgroup file systems are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cgroups {
    /// cgroup2 alone.
    Unified,
    /// cgroup2 beside v1, which has the controllers.
    Hybrid,
    /// v1 alone, or none.
    Old,
}

/// Of the first PID namespace of every kernel (`PROC_PID_INIT_INO`).
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

const CAPABILITIES: [(CapabilitySet, &str); 3] = [
    (CapabilitySet::BPF, "CAP_BPF"),
    (CapabilitySet::PERFMON, "CAP_PERFMON"),
    (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
];

/// Looks; changes nothing.
pub fn host() -> Host {
    let has = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    let lacks = CAPABILITIES.iter().filter(|(wanted, _)| !has.contains(*wanted));
    let mount = systemd::cgroup::mount().ok();
    let controllers =
        mount.as_ref().and_then(|mount| fs::read_to_string(mount.join("cgroup.controllers")).ok());
    Host {
        kernel: uname().release().to_string_lossy().into_owned(),
        lacks: lacks.map(|(_, name)| *name).collect(),
        filtered: text("/proc/self/status").lines().any(is_filtered),
        lockdown: in_brackets(&text("/sys/kernel/security/lockdown")).to_owned(),
        types: Path::new("/sys/kernel/btf/vmlinux").exists(),
        tracefs: ["/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events"]
            .iter()
            .any(|it| Path::new(it).exists()),
        cgroups: match mount {
            Some(mount) if mount == Path::new("/sys/fs/cgroup") => Cgroups::Unified,
            Some(_) => Cgroups::Hybrid,
            None => Cgroups::Old,
        },
        memory: controllers.is_some_and(|all| all.split_whitespace().any(|name| name == "memory")),
        pressure: !text("/proc/pressure/memory").is_empty(),
        first_pid_namespace: link("/proc/self/ns/pid") == FIRST_PID_NAMESPACE,
        first_net_namespace: link("/proc/self/ns/net") == link("/proc/1/ns/net"),
    }
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn link(path: &str) -> String {
    fs::read_link(path).map_or_else(|_| String::new(), |target| target.to_string_lossy().into_owned())
}

/// Mode 2 of `Seccomp:` is a filter.
fn is_filtered(line: &str) -> bool {
    line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2")
}

/// `none [integrity] confidentiality` is `integrity`.
fn in_brackets(text: &str) -> &str {
    let inner = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    inner.map_or("", |(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_of_lockdown_is_the_word_in_brackets() {
        assert_eq!(in_brackets("none [integrity] confidentiality\n"), "integrity");
        assert_eq!(in_brackets(""), "");
    }

    #[test]
    fn a_filter_of_system_calls_is_told_from_none() {
        assert!(is_filtered("Seccomp:\t2"));
        assert!(!is_filtered("Seccomp:\t0"));
        assert!(!is_filtered("Seccomp_filters:\t2"));
    }

    #[test]
    fn this_host_can_be_looked_at() {
        let found = host();
        assert!(!found.kernel.is_empty());
        assert_eq!(found.types, Path::new("/sys/kernel/btf/vmlinux").exists());
    }
}
