//! Which processes are known: main processes, and whoever is in a watched cgroup at a look.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    model::{CgroupId, Watch},
    systemd,
};

/// So deep below a unit's own cgroup is looked.
const DEPTH: usize = 4;

/// A process that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) cgroup: CgroupId,
    pub(super) is_main: bool,
    pub(super) comm: String,
}

/// Where the cgroups are, as far as they were found: to look for one costs milliseconds.
pub(super) type Places = BTreeMap<CgroupId, PathBuf>;

/// Everybody who is known now. Main processes are, whoever reads them.
pub(super) fn members(watch: &Watch, places: &mut Places) -> BTreeMap<u32, Member> {
    places.retain(|cgroup, place| watch.cgroups.contains_key(cgroup) && place.is_dir());
    let mount = systemd::cgroup::mount().ok();
    let mut found = BTreeMap::new();
    for (cgroup, mains) in &watch.cgroups {
        let place =
            places.get(cgroup).cloned().or_else(|| systemd::cgroup::directory(mount.as_deref()?, *cgroup));
        let inside = place.iter().flat_map(|place| inside(place, DEPTH));
        for pid in inside.chain(mains.iter().copied()) {
            let is_main = mains.contains(&pid);
            found.entry(pid).or_insert_with(|| Member { cgroup: *cgroup, is_main, comm: comm(pid) });
        }
        if let Some(place) = place {
            places.insert(*cgroup, place);
        }
    }
    found
}

fn inside(place: &Path, depth: usize) -> Vec<u32> {
    let listed = fs::read_to_string(place.join("cgroup.procs")).unwrap_or_default();
    let mut pids: Vec<u32> = listed.lines().filter_map(|line| line.parse().ok()).collect();
    let below = fs::read_dir(place).into_iter().flatten().flatten();
    let below = below.filter(|entry| depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()));
    below.for_each(|entry| pids.extend(inside(&entry.path(), depth - 1)));
    pids
}

fn comm(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}
