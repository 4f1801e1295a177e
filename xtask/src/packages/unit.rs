//! The unit: one file for source installs and packages.

use anyhow::{Context, Result, ensure};

/// The unit of a source install.
pub const UNIT: &str = include_str!("../../../contrib/watchdog.service");
/// A drop-in for it that grants all that can be of use.
pub const CAPABILITIES: &str = include_str!("../../../contrib/capabilities.conf");

/// What is different in a package: its program's name, and a group that is sure to be there.
const DIFFERENCES: [(&str, &str); 4] = [
    ("ExecStart=/usr/local/bin/watchdog run\n", "ExecStart=/usr/bin/service-watchdog run\n"),
    ("ExecReload=/usr/local/bin/watchdog reload\n", "ExecReload=/usr/bin/service-watchdog reload\n"),
    ("#SupplementaryGroups=watchdog\n", "SupplementaryGroups=watchdog\n"),
    (
        "Description=Keeps the services of this host answering\n",
        "Description=Keeps the services of this host answering\nDocumentation=man:service-watchdog(8) man:watchdog.toml(5)\n",
    ),
];

/// The unit of a package.
pub fn packaged() -> Result<String> {
    DIFFERENCES.iter().try_fold(UNIT.to_owned(), |unit, (from, to)| {
        let (before, after) =
            unit.split_once(from).with_context(|| format!("the unit has no line {from:?}"))?;
        ensure!(!after.contains(from), "the unit has the line {from:?} twice");
        Ok(format!("{before}{to}{after}"))
    })
}

#[cfg(test)]
mod tests {
    use super::{DIFFERENCES, UNIT, packaged};

    #[test]
    fn the_unit_of_the_package_is_that_of_a_source_install_but_for_what_is_named_here() {
        let packaged = packaged().unwrap();
        let back = DIFFERENCES.iter().fold(packaged.clone(), |unit, (from, to)| unit.replacen(to, from, 1));
        assert_eq!(back, UNIT);
        assert!(packaged.contains("\nExecStart=/usr/bin/service-watchdog run\n"));
    }

    fn setting<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
        unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
    }

    #[test]
    fn the_capabilities_that_are_given_are_these_and_no_others() {
        let packaged = packaged().unwrap();
        for unit in [UNIT, &packaged] {
            assert_eq!(setting(unit, "CapabilityBoundingSet"), ["CAP_BPF CAP_PERFMON CAP_IPC_LOCK"]);
            assert!(setting(unit, "AmbientCapabilities").is_empty());
            assert_eq!(setting(unit, "NoNewPrivileges"), ["yes"]);
        }
    }

    #[test]
    fn it_is_brought_back_for_ever_and_keeps_its_probes_meanwhile() {
        for (key, value) in [
            ("Type", "notify"),
            ("Restart", "always"),
            ("StartLimitIntervalSec", "0"),
            ("RestartPreventExitStatus", "64 66 78"),
            ("FileDescriptorStoreMax", "64"),
            ("OOMScoreAdjust", "-900"),
            ("RuntimeDirectoryPreserve", "yes"),
        ] {
            assert_eq!(setting(UNIT, key), [value], "{key}");
        }
    }
}
