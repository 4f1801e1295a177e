//! The file systems that a unit writes to, as far as that shows, and how full they are.
//!
//! Invariant: only what is the unit's own counts: its directories, its PID file, what its processes write. Where everybody
//! may write, as in /tmp, everybody could hold every service by filling it.
//!
//! A path is led to its mount by the table of mounts alone: a server of a network file system that is gone would keep
//! whoever touches it for ever. Whoever counts on such a disk has it watched otherwise.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use procfs::process::{FDPermissions, FDTarget, MountInfo, Process};
use rustix::fs::{StatVfs, statvfs};

use super::own::share;
use crate::model::{Disk, UnitState};

/// So many processes are asked for their open files, and so many files in all.
const PIDS: usize = 64;
const FILES: usize = 4096;
/// Where systemd makes a folder for a service, mostly by its name.
const NAMED: [&str; 5] = ["/run", "/var/lib", "/var/log", "/var/cache", "/srv"];
/// Others than the kernel answer for these.
const FAR: [&str; 11] =
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "9p", "afs", "autofs", "fuse"];

/// How full they are; none, where nothing shows that it writes.
pub(super) fn written(unit: &UnitState, pids: &[i32]) -> Vec<Disk> {
    let mounts = Process::myself().and_then(|own| own.mountinfo()).map(|all| all.0).unwrap_or_default();
    let near: Vec<Mount> = mounts.iter().map(Mount::of).collect();
    let mut paths = own_folders(unit, &near);
    paths.extend(open_files(pids));
    let mut found = BTreeMap::new();
    for path in paths {
        if let Some(mount) = mount_of(&near, &path).filter(|mount| !mount.far && !mount.read_only) {
            found.entry(mount.id.clone()).or_insert_with(|| mount.place.clone());
        }
    }
    let disks = found.into_values().filter_map(|place| disk(&place, &statvfs(&place).ok()?));
    disks.collect()
}

/// The folders that are its own by name, and that of its PID file.
fn own_folders(unit: &UnitState, mounts: &[Mount]) -> BTreeSet<PathBuf> {
    let stem = unit.unit.as_str().split(['.', '@']).next().unwrap_or_default();
    let named = NAMED.iter().map(|folder| Path::new(folder).join(stem));
    let pid_file = unit.pid_file.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    let near = |path: &PathBuf| mount_of(mounts, path).is_some_and(|mount| !mount.far);
    // the disk above a folder that is not there is none of its own
    named.chain(pid_file).filter(|path| near(path) && path.is_dir()).collect()
}

/// Folders of files that are open for writing.
fn open_files(pids: &[i32]) -> BTreeSet<PathBuf> {
    let descriptors = pids.iter().take(PIDS).filter_map(|pid| Process::new(*pid).ok()?.fd().ok()).flatten();
    let written = |descriptor: procfs::ProcResult<procfs::process::FDInfo>| {
        let descriptor = descriptor.ok()?;
        let writes = descriptor.mode().contains(FDPermissions::WRITE);
        let FDTarget::Path(path) = descriptor.target else { return None };
        path.parent().filter(|_| writes && lasts(&path)).map(Path::to_path_buf)
    };
    descriptors.take(FILES).filter_map(written).collect()
}

/// What is deleted already does not outlive the process, and devices take no room.
fn lasts(path: &Path) -> bool {
    !path.starts_with("/dev") && !path.as_os_str().as_encoded_bytes().ends_with(b" (deleted)")
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    place: PathBuf,
    /// The device: one file system may be mounted at many places.
    id: String,
    far: bool,
    read_only: bool,
}

impl Mount {
    fn of(info: &MountInfo) -> Mount {
        let kind = info.fs_type.as_str();
        Mount {
            place: info.mount_point.clone(),
            id: info.majmin.clone(),
            far: FAR.contains(&kind) || kind.starts_with("fuse."),
            // of the file system itself: ours may be a read-only view of it
            read_only: info.super_options.contains_key("ro"),
        }
    }
}

/// The innermost mount of a path; of two at one place, the later hides the earlier.
fn mount_of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.place));
    above.max_by_key(|mount| mount.place.components().count())
}

/// As df counts: of what is used and what a user without privileges may use. What counts no blocks is no disk.
fn disk(place: &Path, stat: &StatVfs) -> Option<Disk> {
    let blocks =
        share(stat.f_bavail, stat.f_blocks.saturating_sub(stat.f_bfree).saturating_add(stat.f_bavail))?;
    (stat.f_blocks > 0).then(|| Disk {
        place: place.display().to_string(),
        blocks,
        inodes: share(stat.f_favail, stat.f_files),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(place: &str, id: &str) -> Mount {
        Mount { place: place.into(), id: id.into(), far: false, read_only: false }
    }

    #[test]
    fn a_path_is_on_the_innermost_mount_above_it() {
        let table =
            [mount("/", "8:1"), mount("/var", "8:2"), mount("/var/lib/db", "8:3"), mount("/var", "8:4")];
        for (path, id) in
            [("/etc/x", "8:1"), ("/var/log/x", "8:4"), ("/var/lib/db/x", "8:3"), ("/variety", "8:1")]
        {
            assert_eq!(mount_of(&table, Path::new(path)).map(|mount| mount.id.as_str()), Some(id), "{path}");
        }
        assert_eq!(mount_of(&[], Path::new("/")), None);
    }

    #[test]
    fn g3_a_dead_unit_without_folders_of_its_own_has_no_disk_that_others_could_fill() {
        let mut unit = crate::look::tests::unit("no-such-folder@1.service");
        assert_eq!(written(&unit, &[]), []);
        let mounts = [mount("/", "8:1")];
        let home = tempfile::tempdir().expect("a folder");
        unit.pid_file = Some(home.path().join("it.pid"));
        assert_eq!(own_folders(&unit, &mounts), [home.path().to_path_buf()].into());
        let far = [Mount { far: true, ..mount("/", "0:44") }];
        assert_eq!(own_folders(&unit, &far), [].into());
    }

    #[test]
    fn what_a_process_has_open_for_writing_counts_while_it_has_a_name() {
        let home = tempfile::tempdir().expect("a folder");
        let (log, gone) = (home.path().join("a").join("log"), home.path().join("b").join("gone"));
        let open = |path: &Path| {
            std::fs::create_dir(path.parent().expect("a folder")).expect("made");
            std::fs::File::create(path).expect("a file")
        };
        let _open = (open(&log), open(&gone));
        std::fs::remove_file(&gone).expect("removed");
        let found = open_files(&[std::process::id().cast_signed()]);
        assert!(found.contains(&home.path().join("a")), "{found:?}");
        assert!(!found.contains(&home.path().join("b")), "{found:?}");
        assert!(!lasts(Path::new("/dev/null")) && !lasts(Path::new("/dev/shm/it")));
    }

    #[test]
    fn a_line_of_mountinfo_says_whether_it_is_near_and_can_be_written() {
        let check = |line: &str, far: bool, read_only: bool| {
            let mount = Mount::of(&MountInfo::from_line(line).expect("a line"));
            assert_eq!((mount.far, mount.read_only), (far, read_only), "{line}");
        };
        check("36 35 98:0 / /var rw,noatime shared:1 - ext4 /dev/root rw,errors=continue", false, false);
        check("36 35 98:0 / /var ro,noatime shared:1 - ext4 /dev/root rw,errors=continue", false, false);
        check("36 35 98:0 / /mnt rw,noatime shared:1 - squashfs /dev/loop0 ro,errors=continue", false, true);
        check("36 35 0:44 / /srv rw,noatime shared:1 - nfs4 host:/srv rw,vers=4.2", true, false);
        check("36 35 0:45 / /srv rw,noatime shared:1 - fuse.sshfs host:/srv rw,user_id=0", true, false);
    }

    #[test]
    fn what_is_kept_for_root_is_not_free_and_what_counts_no_blocks_is_no_disk() {
        let mut stat = statvfs("/proc").expect("proc");
        assert_eq!(disk(Path::new("/proc"), &stat), None);
        (stat.f_blocks, stat.f_bfree, stat.f_bavail, stat.f_files, stat.f_favail) = (1000, 50, 0, 0, 0);
        let full = Disk { place: "/".into(), blocks: 0, inodes: None };
        assert_eq!(disk(Path::new("/"), &stat), Some(full));
        (stat.f_bavail, stat.f_files, stat.f_favail) = (50, 10, 5);
        let some = Disk { place: "/".into(), blocks: 500, inodes: Some(5_000) };
        assert_eq!(disk(Path::new("/"), &stat), Some(some));
    }
}
