//! By what failures would be seen here, what is missing for better, and what to do about it.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::daemon::{Granted, Running, row};
use crate::{
    look::{Cgroups, Host},
    model::Serving,
    sources::ebpf::{self, Missing},
    systemd::{Way, own_unit},
};

/// What was found out.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The host, and this process on it.
    pub host: &'a Host,
    /// What became of loading the probes: the programs that do not run, or why none does.
    pub probes: Result<&'a [Missing], &'a ebpf::Error>,
    /// By which way systemd is reached, or why it is not.
    pub systemd: Result<Way, String>,
    /// Why the kernel's table of sockets cannot be read, where it cannot.
    pub sockets: Option<String>,
    /// Units of watchdog that keep no descriptors (`FileDescriptorStoreMax=0`).
    pub forgetful: Vec<String>,
    /// By what each class would be seen.
    pub rungs: Vec<Serving>,
    /// The watchdog that runs here.
    pub running: Option<Running>,
    /// What installed units of watchdog may.
    pub units: Vec<Granted>,
    /// Where the verifier's whole words on refused programs are.
    pub verifier_log: Option<PathBuf>,
}

/// What a doctor says. Its `Display` is the text for people; serialised, the form of `--json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The kernel's release.
    pub kernel: String,
    /// By which way systemd is reached; `None`: not at all.
    pub systemd: Option<&'static str>,
    /// By what each class would be seen: as this process, with what it may, has tried it.
    pub rungs: Vec<Serving>,
    /// The watchdog that runs here: what holds for this host now.
    pub running: Option<Running>,
    /// What installed units of watchdog may.
    pub units: Vec<Granted>,
    /// What is missing.
    pub findings: Vec<Finding>,
    /// Where the verifier's whole words on refused programs are.
    pub verifier_log: Option<PathBuf>,
}

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub what: String,
    /// What it costs.
    pub costs: String,
    /// What to do.
    pub todo: String,
    /// It costs that now; else only where the probes should not work some day.
    pub now: bool,
}

impl Report {
    /// Every class is seen by the best that there is for it, also by the watchdog that runs, and units can be restarted.
    pub fn is_best(&self) -> bool {
        self.systemd.is_some() && self.sees_best() && self.running.as_ref().is_none_or(Running::sees_best)
    }

    fn sees_best(&self) -> bool {
        self.rungs.iter().all(|serving| serving.why.is_empty())
    }
}

/// Draws the conclusions.
pub fn doctor(facts: Facts<'_>) -> Report {
    let mut findings = Vec::new();
    findings.extend(probes(&facts));
    findings.extend(kernel(&facts));
    findings.extend(systemd(&facts));
    findings.sort_by_key(|finding| !finding.now);
    Report {
        kernel: facts.host.kernel.clone(),
        systemd: facts.systemd.ok().map(Way::name),
        rungs: facts.rungs,
        running: facts.running,
        units: facts.units,
        findings,
        verifier_log: facts.verifier_log,
    }
}

const BLIND: &str = "the kernel tells nothing by itself: failures are seen later, by looks, or only by heartbeats (see above)";

fn now(what: impl Into<String>, costs: impl Into<String>, todo: impl Into<String>) -> Finding {
    Finding { what: what.into(), costs: costs.into(), todo: todo.into(), now: true }
}

/// What stands against the probes.
fn probes(facts: &Facts<'_>) -> Vec<Finding> {
    let host = facts.host;
    let fault = match facts.probes {
        Ok(missing) => return missing.iter().map(refused).collect(),
        Err(fault) => fault,
    };
    let denied: Vec<&str> = host.lacks.iter().copied().filter(|name| *name != "CAP_NET_ADMIN").collect();
    let finding = match fault {
        ebpf::Error::NotPermitted { .. } if !denied.is_empty() => now(
            format!("this process lacks {}", denied.join(" and ")),
            BLIND,
            format!(
                "give its unit AmbientCapabilities= and CapabilityBoundingSet= with {} (`systemctl edit {}`), or run it as root",
                denied.join(" and "),
                own_unit()
            ),
        ),
        ebpf::Error::NotPermitted { .. } if host.filtered => now(
            "a filter of system calls denies bpf()",
            BLIND,
            format!(
                "take `bpf` out of the denied calls: SystemCallFilter=bpf in a drop-in of its unit (`systemctl edit {}`); in \
                 a container, its seccomp profile",
                own_unit()
            ),
        ),
        ebpf::Error::NotPermitted { .. } => now(
            "bpf() is denied, though no capability is missing",
            BLIND,
            "look which security module denies it: `journalctl -k --grep='bpf|denied'` (SELinux, AppArmor), or whether this is a \
             container without the privilege",
        ),
        ebpf::Error::LockedDown => now(
            "the kernel is locked down (confidentiality): nobody may read its memory",
            BLIND,
            "boot with lockdown=integrity instead, where the host's owner agrees; Secure Boot allows it",
        ),
        ebpf::Error::NoTypes { .. } | ebpf::Error::BadTypes { .. } => now(
            "the kernel does not tell its own types (BTF): /sys/kernel/btf/vmlinux",
            BLIND,
            "boot a kernel with CONFIG_DEBUG_INFO_BTF=y, as distributions ship them since 5.17; in a container, mount /sys",
        ),
        ebpf::Error::NoProgram(missing) => {
            return missing.iter().map(refused).collect();
        }
        ebpf::Error::OtherAbi { .. } | ebpf::Error::NoMap { .. } => {
            now(fault.chain(), BLIND, "this watchdog was built of parts that do not fit: install it anew")
        }
        ebpf::Error::Object { .. }
        | ebpf::Error::Namespace { .. }
        | ebpf::Error::Map { .. }
        | ebpf::Error::TooMany { .. }
        | ebpf::Error::Seed { .. }
        | ebpf::Error::Egress { .. }
        | ebpf::Error::NoMount { .. }
        | ebpf::Error::Ring { .. } => now(
            fault.chain(),
            BLIND,
            "try again in a while (memory, descriptors?); if it stays, report it with this text",
        ),
    };
    vec![finding]
}

fn refused(missing: &Missing) -> Finding {
    now(
        missing.to_string(),
        "this class is seen by a lower rung (see above)",
        "report it, with the kernel's release and the verifier's log; nothing on this host is wrong",
    )
}

/// What the kernel lacks, and where this process is.
fn kernel(facts: &Facts<'_>) -> Vec<Finding> {
    let (host, mut found) = (facts.host, Vec::new());
    let blind = facts.probes.is_err();
    let mut fallback = |what: &str, costs: &str, todo: &str| {
        found.push(Finding { what: what.into(), costs: costs.into(), todo: todo.into(), now: blind });
    };
    let connector =
        "without probes, ends of processes cannot come by the proc connector: systemd and pidfds tell them";
    if !host.first_pid_namespace || !host.first_net_namespace {
        let what = "this is not the host's own PID and network namespace (a container)";
        fallback(what, connector, "run watchdog on the host itself where you can");
    }
    if !host.tracefs {
        let costs = "where the kernel tells no types, classic tracepoints cannot stand in";
        fallback("tracefs is not mounted", costs, "mount -t tracefs tracefs /sys/kernel/tracing");
    }
    if let Some(why) = &facts.sockets {
        let costs = "without probes, neither lost listeners nor connections that wait are seen before a heartbeat asks";
        let todo = "load the module: `modprobe tcp_diag`; a filter of address families (RestrictAddressFamilies=) must have AF_NETLINK";
        fallback(&format!("the kernel's table of sockets cannot be read: {why}"), costs, todo);
    }
    match host.cgroups {
        Cgroups::Unified => {}
        Cgroups::Hybrid => found.push(now(
            "cgroups are of both versions: v1 has the controllers",
            "a unit's own share of memory, I/O and CPU is not known: gates hold its restart for what it causes itself",
            "boot with systemd.unified_cgroup_hierarchy=1",
        )),
        Cgroups::Old => found.push(now(
            "cgroup2 is not mounted",
            "processes cannot be told to units: nothing that the kernel tells leads to a service, and a stop that hangs cannot be ended",
            "boot with systemd.unified_cgroup_hierarchy=1",
        )),
    }
    if host.cgroups == Cgroups::Unified && !host.memory {
        found.push(now(
            "the memory controller is missing",
            "no unit has a limit of memory of its own, and its share of the host's memory is not known",
            "boot with cgroup_enable=memory",
        ));
    }
    if host.lacks.contains(&"CAP_NET_ADMIN") {
        found.push(now(
            "this process lacks CAP_NET_ADMIN",
            "answers of 500 and above cannot be seen as they leave; without probes, the proc connector cannot be used either",
            format!("add it to AmbientCapabilities= and CapabilityBoundingSet= of the unit (`systemctl edit {}`)", own_unit()),
        ));
    }
    if !host.pressure {
        found.push(now(
            "the kernel measures no pressure (PSI)",
            "the gates memory, io and cpu have no figures: no restart is held back while the host is short of them",
            "boot with psi=1",
        ));
    }
    found
}

/// What systemd lacks.
fn systemd(facts: &Facts<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    match &facts.systemd {
        Ok(Way::Private) => {}
        Ok(Way::Bus) => found.push(now(
            "systemd is reached over the bus alone",
            "while the bus daemon is dead, nothing can be restarted",
            "run it as root: systemd's private socket is root's alone; is /run/systemd mounted here?",
        )),
        Err(why) => found.push(now(
            format!("systemd is not reached: {why}"),
            "nothing can be restarted, and no unit is known",
            "run it on a host with systemd as its first process, with /run/systemd and /run/dbus mounted",
        )),
    }
    for unit in &facts.forgetful {
        found.push(now(
            format!("systemd keeps no descriptors for {unit} (FileDescriptorStoreMax=0)"),
            "what happens while watchdog itself is restarted is not seen in the kernel",
            format!("`systemctl edit {unit}`: [Service], FileDescriptorStoreMax=16"),
        ));
    }
    found
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let systemd =
            self.systemd.map_or("systemd not reached".to_owned(), |way| format!("systemd over its {way}"));
        let whose = if self.running.is_some() || !self.units.is_empty() {
            ", with what this command may,"
        } else {
            ""
        };
        writeln!(f, "Linux {}, {systemd}\n\nHere{whose} failures are seen by", self.kernel)?;
        self.rungs.iter().try_for_each(|serving| row(serving, f))?;
        if let Some(running) = &self.running {
            running.say(&self.rungs, f)?;
        }
        self.units.iter().try_for_each(|unit| write!(f, "{unit}"))?;
        let (costs, would): (Vec<&Finding>, Vec<&Finding>) =
            self.findings.iter().partition(|finding| finding.now);
        for (title, findings) in
            [("What is missing", costs), ("What would be missing if the probes were lost", would)]
        {
            if !findings.is_empty() {
                writeln!(f, "\n{title}")?;
            }
            for Finding { what, costs, todo, .. } in findings {
                writeln!(f, "  {what}\n    costs  {costs}\n    do     {todo}")?;
            }
        }
        if let Some(path) = &self.verifier_log {
            writeln!(f, "\nThe verifier's words on refused programs: {}", path.display())?;
        }
        if self.sees_best() && self.running.as_ref().is_none_or(Running::sees_best) {
            writeln!(f, "\nNothing better is to be had for any class.")?;
        }
        Ok(())
    }
}
