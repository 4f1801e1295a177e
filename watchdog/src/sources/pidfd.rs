//! The ends of main processes, by a descriptor of each; where the kernel gives none, by a look at /proc each second.
//!
//! For hosts where nothing better sees ends: systemd says how a main process ended, this says it without waiting for systemd, and
//! also of one that nobody reaps. How it ended is not told: only a parent may know.
//! Invariant: a PID is believed only while its process is in the cgroup that is watched. Deliberately absent: any other process.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{mpsc, watch},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep_until},
};

use crate::{
    clock,
    model::{CgroupId, Exit, FailureClass, Rung, Saw, Serving, Sign, Source, Watch},
    systemd,
};

/// Between two looks at /proc.
const LOOK: Duration = Duration::from_secs(1);

/// A main process: its PID is used again, and so is no name by itself.
type Main = (CgroupId, u32);

/// Watches main processes while it is `active`, until nobody takes the signs or nobody says any more what to watch.
pub async fn run(
    mut watch: watch::Receiver<Watch>,
    signs: mpsc::Sender<Sign>,
    mut active: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            it_is = active.wait_for(|active| *active) => if it_is.is_err() { return },
            () = signs.closed() => return,
        }
        let way = Way::of_this_kernel();
        if !tell(&signs, Saw::Serving(way.serving())).await {
            return;
        }
        let mut mains = Mains { way, epoch: Instant::now(), known: BTreeMap::new(), waiting: JoinSet::new() };
        watch.mark_changed();
        while *active.borrow_and_update() {
            let goes_on = tokio::select! {
                changed = watch.changed() => {
                    if changed.is_ok() {
                        let wanted = watch.borrow_and_update().clone();
                        mains.watch(&wanted);
                    }
                    changed.is_ok()
                }
                Some(ended) = mains.waiting.join_next() => match ended {
                    Ok(exit) => tell(&signs, Saw::Exit(exit)).await,
                    Err(_) => true, // it is watched no more
                },
                changed = active.changed() => changed.is_ok(),
                () = signs.closed() => false,
            };
            if !goes_on {
                return;
            }
        }
        if !tell(&signs, Saw::Serving(serving(Rung::Heartbeat, ""))).await {
            return; // a better one serves
        }
    }
}

/// What it would serve here.
pub fn offer() -> Vec<Serving> {
    Way::of_this_kernel().serving()
}

/// By what ends are seen.
#[derive(Debug)]
enum Way {
    Pidfd,
    /// With the reason.
    Looks(String),
}

impl Way {
    fn of_this_kernel() -> Way {
        match pidfd_open(rustix::process::getpid(), PidfdFlags::empty()) {
            Ok(_) => Way::Pidfd,
            Err(fault) => {
                Way::Looks(format!("there are no descriptors of processes: {}", io::Error::from(fault)))
            }
        }
    }

    fn serving(&self) -> Vec<Serving> {
        match self {
            Way::Pidfd => serving(Rung::Pidfd, ""),
            Way::Looks(why) => serving(Rung::Procfs, why),
        }
    }
}

fn serving(rung: Rung, why: &str) -> Vec<Serving> {
    let word = |class| Serving { class, rung, why: why.to_owned() };
    [FailureClass::Exit, FailureClass::Zombie].map(word).into()
}

/// The main processes of this moment.
struct Mains {
    way: Way,
    /// All looks fall on whole seconds from here on: together.
    epoch: Instant,
    /// Also those that have ended, for they may be watched still.
    known: BTreeMap<Main, Option<AbortHandle>>,
    waiting: JoinSet<Exit>,
}

impl Mains {
    fn watch(&mut self, wanted: &Watch) {
        let latest = wanted.cgroups.iter().filter_map(|(cgroup, pids)| Some((*cgroup, *pids.last()?)));
        let latest: BTreeSet<Main> = latest.collect();
        for (_, gone) in self.known.extract_if(.., |main, _| !latest.contains(main)) {
            gone.iter().for_each(AbortHandle::abort);
        }
        for main in latest {
            if !self.known.contains_key(&main) {
                let waiting = self.begin(main);
                self.known.insert(main, waiting);
            }
        }
    }

    /// Waits for the end of this one; `None` where it is not to be waited for.
    fn begin(&mut self, main: Main) -> Option<AbortHandle> {
        let (cgroup, pid) = main;
        let process = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
        let held = match &self.way {
            Way::Pidfd => Some(pidfd_open(process, PidfdFlags::NONBLOCK)),
            Way::Looks(_) => None,
        };
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let exit = Exit { cgroup, pid, cause: None, comm: comm.trim_end().to_owned(), more: 0 };
        // looked at after it is held: what the PID means now is what is held
        if is_of(pid, cgroup) == Some(false) {
            return None;
        }
        let epoch = self.epoch;
        Some(match held {
            Some(Err(Errno::SRCH)) => self.waiting.spawn(async { exit }),
            Some(Ok(held)) => self.waiting.spawn(async move {
                if readable(held).await.is_err() {
                    gone(pid, epoch).await;
                }
                exit
            }),
            Some(Err(_)) | None => self.waiting.spawn(async move {
                gone(pid, epoch).await;
                exit
            }),
        })
    }
}

/// Over when the process has ended, whether it is reaped or not.
#[allow(unsafe_code, reason = "tokio asks for the promise that the descriptor stays open")]
async fn readable(held: OwnedFd) -> io::Result<()> {
    // SAFETY: it owns its descriptor and gives no other, and is owned by the AsyncFd in turn.
    let held = unsafe { AsyncFd::register_with_interest(held, Interest::READABLE) }?;
    held.readable().await.map(drop)
}

/// Looks at /proc each second, until this process is there no more.
async fn gone(pid: u32, epoch: Instant) {
    let Some(started) = start_of(pid) else { return };
    let mut next = epoch;
    loop {
        while next <= Instant::now() {
            next += LOOK;
        }
        sleep_until(next).await;
        if start_of(pid) != Some(started) {
            return;
        }
    }
}

/// When a living process was started, in the kernel's ticks; `None` where it has ended, reaped or not.
fn start_of(pid: u32) -> Option<u64> {
    started(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// `PID (NAME) STATE …`: a name may hold spaces and brackets.
fn started(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    match fields.next()? {
        "Z" | "X" => None,
        _ => fields.nth(18)?.parse().ok(),
    }
}

/// Whether this process is in this cgroup or below it; `None` where it is gone, or where that cannot be told.
fn is_of(pid: u32, cgroup: CgroupId) -> Option<bool> {
    let mount = systemd::cgroup::mount().ok()?;
    let told = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = told.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let own: PathBuf = mount.join(path.trim_end_matches(" (deleted)"));
    let above = own.ancestors().take_while(|directory| directory.starts_with(&mount));
    let number = |directory: &Path| directory.metadata().ok().map(|it| it.ino());
    let numbers: Option<Vec<u64>> = above.map(number).collect();
    Some(numbers?.contains(&cgroup.0))
}

/// Waits for room: an end that is not told is told by nobody else. `false` when nobody takes it.
async fn tell(signs: &mpsc::Sender<Sign>, saw: Saw) -> bool {
    signs.send(Sign { at: clock::now(), source: Source::Pidfd, saw }).await.is_ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use proptest::prelude::*;
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn sleeper() -> Child {
        Command::new("sleep").arg("1000").spawn().unwrap()
    }

    fn own_cgroup() -> CgroupId {
        let told = fs::read_to_string("/proc/self/cgroup").unwrap();
        let path = told.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
        CgroupId(systemd::cgroup::mount().unwrap().join(path).metadata().unwrap().ino())
    }

    fn watching(cgroup: CgroupId, pids: &[u32]) -> Watch {
        Watch { cgroups: BTreeMap::from([(cgroup, pids.to_vec())]), ..Watch::default() }
    }

    async fn first(mains: &mut Mains) -> Exit {
        timeout(PATIENCE, mains.waiting.join_next()).await.unwrap().unwrap().unwrap()
    }

    fn mains(way: Way) -> Mains {
        Mains { way, epoch: Instant::now(), known: BTreeMap::new(), waiting: JoinSet::new() }
    }

    /// Nobody reaps it while it is watched: its end is seen all the same.
    async fn seen(way: Way) {
        let (cgroup, mut child, mut mains) = (own_cgroup(), sleeper(), mains(way));
        mains.watch(&watching(cgroup, &[1, child.id()]));
        child.kill().unwrap();
        let exit = first(&mut mains).await;
        assert_eq!((exit.cgroup, exit.pid, exit.cause), (cgroup, child.id(), None));
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn f1_the_end_of_a_main_process_is_seen_by_its_descriptor_though_nobody_reaps_it() {
        seen(Way::of_this_kernel()).await;
    }

    #[tokio::test]
    async fn f1_without_descriptors_it_is_seen_in_proc() {
        seen(Way::Looks("none here".into())).await;
    }

    #[tokio::test]
    async fn f1_one_that_is_dead_already_is_told_once() {
        let (cgroup, mut child, mut mains) = (own_cgroup(), sleeper(), mains(Way::of_this_kernel()));
        child.kill().unwrap();
        child.wait().unwrap();
        mains.watch(&watching(cgroup, &[child.id()]));
        assert_eq!(first(&mut mains).await.pid, child.id());
        mains.watch(&watching(cgroup, &[child.id()]));
        assert!(mains.waiting.is_empty(), "it is told again");
    }

    #[tokio::test]
    async fn f1_a_process_of_another_cgroup_is_a_stranger() {
        let (mut child, mut mains) = (sleeper(), mains(Way::of_this_kernel()));
        mains.watch(&watching(CgroupId(u64::MAX), &[child.id()]));
        assert!(mains.waiting.is_empty(), "it is taken for the main process");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn f1_what_is_watched_no_more_is_told_no_more() {
        let (cgroup, mut child, mut mains) = (own_cgroup(), sleeper(), mains(Way::of_this_kernel()));
        mains.watch(&watching(cgroup, &[child.id()]));
        mains.watch(&Watch::default());
        let ended = timeout(PATIENCE, mains.waiting.join_next()).await.unwrap().unwrap();
        assert!(ended.is_err_and(|fault| fault.is_cancelled()));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_name_with_brackets_hides_no_start() {
        let rest = (1..=50).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(started(&format!("7 (a) Z (b) S {rest}")), Some(19));
        assert_eq!(started(&format!("7 (a) Z {rest}")), None);
        assert_eq!(started("7 (a"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(stat in "\\PC*") {
            let _ = started(&stat);
        }
    }
}
