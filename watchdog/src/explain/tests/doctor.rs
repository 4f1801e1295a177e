use expect_test::{Expect, expect};

use crate::{
    explain::{Facts, Running, doctor, granted},
    look::{Cgroups, Host},
    model::{FailureClass, Rung, Serving},
    sources::ebpf::{Error, Missing, Program},
    systemd::{Traits, Way},
};

/// A host where everything works.
fn host() -> Host {
    Host {
        kernel: "6.1.0-42-amd64".into(),
        lacks: vec![],
        filtered: false,
        lockdown: "none".into(),
        types: true,
        tracefs: true,
        cgroups: Cgroups::Unified,
        memory: true,
        pressure: true,
        first_pid_namespace: true,
        first_net_namespace: true,
    }
}

fn rungs(rung: Rung, why: &str) -> Vec<Serving> {
    vec![Serving { class: FailureClass::AcceptStall, rung, why: why.into() }]
}

fn facts<'a>(host: &'a Host, probes: Result<&'a [Missing], &'a Error>) -> Facts<'a> {
    let rungs = match probes {
        Ok([]) => rungs(Rung::TpBtf, ""),
        Ok(_) | Err(_) => rungs(Rung::SockDiag, "the probes are not loaded"),
    };
    Facts {
        host,
        probes,
        systemd: Ok(Way::Private),
        sockets: None,
        forgetful: vec![],
        rungs,
        running: None,
        units: vec![],
        verifier_log: None,
    }
}

/// What is said below the table of rungs.
fn check(facts: Facts<'_>, expected: Expect) {
    let text = doctor(facts).to_string();
    let below: Vec<&str> =
        text.lines().skip_while(|line| !line.starts_with("  accept_stall")).skip(1).collect();
    expected.assert_eq(&below.join("\n"));
}

#[test]
fn where_all_is_well_nothing_is_to_be_done() {
    let host = host();
    let report = doctor(facts(&host, Ok(&[])));
    assert!(report.is_best() && report.findings.is_empty());
    expect![[r#"
        Linux 6.1.0-42-amd64, systemd over its private socket

        Here failures are seen by
          accept_stall   tp_btf

        Nothing better is to be had for any class.
    "#]]
    .assert_eq(&report.to_string());
}

#[test]
fn denied_probes_say_who_denies_them() {
    let (denied, host) = (Error::forbidden("EPERM"), host());
    let lacking = Host { lacks: vec!["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"], ..host.clone() };
    check(
        facts(&lacking, Err(&denied)),
        expect![[r#"

        What is missing
          this process lacks CAP_BPF and CAP_PERFMON
            costs  the kernel tells nothing by itself: failures are seen later, by looks, or only by heartbeats (see above)
            do     give its unit AmbientCapabilities= and CapabilityBoundingSet= with CAP_BPF and CAP_PERFMON (`systemctl edit watchdog`), or run it as root
          this process lacks CAP_NET_ADMIN
            costs  answers of 500 and above cannot be seen as they leave; without probes, the proc connector cannot be used either
            do     add it to AmbientCapabilities= and CapabilityBoundingSet= of the unit (`systemctl edit watchdog`)"#]],
    );
    let filtered = Host { filtered: true, ..host.clone() };
    check(
        facts(&filtered, Err(&denied)),
        expect![[r#"

        What is missing
          a filter of system calls denies bpf()
            costs  the kernel tells nothing by itself: failures are seen later, by looks, or only by heartbeats (see above)
            do     take `bpf` out of the denied calls: SystemCallFilter=bpf in a drop-in of its unit (`systemctl edit watchdog`); in a container, its seccomp profile"#]],
    );
    check(
        facts(&host, Err(&denied)),
        expect![[r#"

        What is missing
          bpf() is denied, though no capability is missing
            costs  the kernel tells nothing by itself: failures are seen later, by looks, or only by heartbeats (see above)
            do     look which security module denies it: `journalctl -k --grep='bpf|denied'` (SELinux, AppArmor), or whether this is a container without the privilege"#]],
    );
    check(
        facts(&host, Err(&Error::LockedDown)),
        expect![[r#"

        What is missing
          the kernel is locked down (confidentiality): nobody may read its memory
            costs  the kernel tells nothing by itself: failures are seen later, by looks, or only by heartbeats (see above)
            do     boot with lockdown=integrity instead, where the host's owner agrees; Secure Boot allows it"#]],
    );
}

#[test]
fn a_refused_program_names_the_log_of_the_verifier() {
    let (host, missing) =
        (host(), [Missing { program: Program::Oom, why: "invalid access".into(), classic: false }]);
    let facts =
        Facts { verifier_log: Some("/var/lib/watchdog/verifier.log".into()), ..facts(&host, Ok(&missing)) };
    check(
        facts,
        expect![[r#"

        What is missing
          kills for want of memory are not seen in the kernel: invalid access
            costs  this class is seen by a lower rung (see above)
            do     report it, with the kernel's release and the verifier's log; nothing on this host is wrong

        The verifier's words on refused programs: /var/lib/watchdog/verifier.log"#]],
    );
}

#[test]
fn what_only_a_fallback_needs_stands_apart_while_the_probes_work() {
    let container = Host {
        first_pid_namespace: false,
        tracefs: false,
        cgroups: Cgroups::Hybrid,
        memory: false,
        pressure: false,
        ..host()
    };
    check(
        facts(&container, Ok(&[])),
        expect![[r#"

        What is missing
          cgroups are of both versions: v1 has the controllers
            costs  a unit's own share of memory, I/O and CPU is not known: gates hold its restart for what it causes itself
            do     boot with systemd.unified_cgroup_hierarchy=1
          the kernel measures no pressure (PSI)
            costs  the gates memory, io and cpu have no figures: no restart is held back while the host is short of them
            do     boot with psi=1

        What would be missing if the probes were lost
          this is not the host's own PID and network namespace (a container)
            costs  without probes, ends of processes cannot come by the proc connector: systemd and pidfds tell them
            do     run watchdog on the host itself where you can
          tracefs is not mounted
            costs  where the kernel tells no types, classic tracepoints cannot stand in
            do     mount -t tracefs tracefs /sys/kernel/tracing

        Nothing better is to be had for any class."#]],
    );
}

#[test]
fn what_systemd_lacks_is_told_with_what_to_write() {
    let old = Host { cgroups: Cgroups::Old, ..host() };
    let facts = Facts {
        systemd: Ok(Way::Bus),
        sockets: Some("not permitted".into()),
        forgetful: vec!["watchdog.service".into()],
        ..facts(&old, Ok(&[]))
    };
    check(
        facts,
        expect![[r#"

        What is missing
          cgroup2 is not mounted
            costs  processes cannot be told to units: nothing that the kernel tells leads to a service, and a stop that hangs cannot be ended
            do     boot with systemd.unified_cgroup_hierarchy=1
          systemd is reached over the bus alone
            costs  while the bus daemon is dead, nothing can be restarted
            do     run it as root: systemd's private socket is root's alone; is /run/systemd mounted here?
          systemd keeps no descriptors for watchdog.service (FileDescriptorStoreMax=0)
            costs  what happens while watchdog itself is restarted is not seen in the kernel
            do     `systemctl edit watchdog.service`: [Service], FileDescriptorStoreMax=16

        What would be missing if the probes were lost
          the kernel's table of sockets cannot be read: not permitted
            costs  without probes, neither lost listeners nor connections that wait are seen before a heartbeat asks
            do     load the module: `modprobe tcp_diag`; a filter of address families (RestrictAddressFamilies=) must have AF_NETLINK

        Nothing better is to be had for any class."#]],
    );
    let host = host();
    let gone = Facts { systemd: Err("no such file".into()), ..self::facts(&host, Ok(&[])) };
    assert!(!doctor(Facts { systemd: Err("gone".into()), ..self::facts(&host, Ok(&[])) }).is_best());
    check(
        gone,
        expect![[r#"

        What is missing
          systemd is not reached: no such file
            costs  nothing can be restarted, and no unit is known
            do     run it on a host with systemd as its first process, with /run/systemd and /run/dbus mounted

        Nothing better is to be had for any class."#]],
    );
}

#[test]
fn what_the_watchdog_that_runs_sees_by_and_what_its_unit_may_is_told_beside_what_root_has() {
    let host = host();
    let unit = "service-watchdog.service".parse().unwrap();
    let of = |capabilities: u64| vec![granted(&unit, &Traits { capabilities, ..Traits::default() })];
    let running = |rungs| Some(Running { version: "0.1.0".into(), rungs });
    let packaged = 1 << 38 | 1 << 39 | 1 << 14;
    let less = running(rungs(Rung::SockDiag, "the probes are not permitted"));
    let report = doctor(Facts { running: less, units: of(packaged), ..facts(&host, Ok(&[])) });
    assert!(!report.is_best(), "the daemon sees by less");
    expect![[r#"
        Linux 6.1.0-42-amd64, systemd over its private socket

        Here, with what this command may, failures are seen by
          accept_stall   tp_btf

        The watchdog that runs (0.1.0) sees otherwise
          accept_stall   sock_diag      nothing better: the probes are not permitted

        service-watchdog.service may CAP_BPF, CAP_PERFMON, and lacks
          CAP_NET_ADMIN        clients' 5xx answers are not seen as they leave
          CAP_SYS_PTRACE       who holds a port, and what ails processes of other users, is not seen
          CAP_DAC_READ_SEARCH  logs that only others may read are not followed
          CAP_DAC_OVERRIDE     Unix sockets of others are not asked; stale PID files in their folders stay
            do     what you need of it, in a drop-in (`systemctl edit service-watchdog.service`): [Service], CapabilityBoundingSet=NAME …; then restart it
    "#]].assert_eq(&report.to_string());

    let same = running(rungs(Rung::TpBtf, ""));
    let all = doctor(Facts { running: same, units: of(u64::MAX), ..facts(&host, Ok(&[])) });
    assert!(all.is_best());
    expect![[r#"
        Linux 6.1.0-42-amd64, systemd over its private socket

        Here, with what this command may, failures are seen by
          accept_stall   tp_btf

        The watchdog that runs (0.1.0) sees them by the same.

        service-watchdog.service may all that it can use: CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE

        Nothing better is to be had for any class.
    "#]].assert_eq(&all.to_string());

    let old = of(1 << 21 | 1 << 1).remove(0);
    assert_eq!(old.has, ["CAP_BPF", "CAP_PERFMON", "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE"]);
    let none = of(0).remove(0);
    assert!(none.has.is_empty() && none.lacks.len() == 6);
    expect![[r#"

        service-watchdog.service may nothing that it could use, and lacks
          CAP_BPF              no probe is loaded: failures are seen later, by looks, or only by heartbeats
          CAP_PERFMON          no probe is loaded: failures are seen later, by looks, or only by heartbeats
          CAP_NET_ADMIN        clients' 5xx answers are not seen as they leave
          CAP_SYS_PTRACE       who holds a port, and what ails processes of other users, is not seen
          CAP_DAC_READ_SEARCH  logs that only others may read are not followed
          CAP_DAC_OVERRIDE     Unix sockets of others are not asked; stale PID files in their folders stay
            do     what you need of it, in a drop-in (`systemctl edit service-watchdog.service`): [Service], CapabilityBoundingSet=NAME …; then restart it
    "#]].assert_eq(&none.to_string());
}
