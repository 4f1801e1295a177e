//! Kills for want of memory, by the counter in the `memory.events` of each watched cgroup; the kernel says when it changes.
//!
//! For hosts where no probe sees them. Where there is no such counter, what is left is systemd's `Result=oom-kill`.
//! Deliberately absent: which process it was; the kernel does not count that.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use futures_util::StreamExt;
use inotify::{EventStream, Inotify, WatchDescriptor, WatchMask};
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
};

use crate::{
    clock,
    model::{CgroupId, FailureClass, OomKill, Rung, Saw, Serving, Sign, Source, Watch},
    systemd,
};

/// Events of the kernel that are taken at once.
const BUFFER: usize = 4096;
const COUNTER: &str = "memory.events";

/// Looks while it is `active`, until nobody takes the signs or nobody says any more what to watch.
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
        watch.mark_changed();
        let over = tokio::select! {
            over = serve(&mut watch, &signs) => over,
            rests = active.wait_for(|active| !*active) => rests.is_err(),
            () = signs.closed() => true,
        };
        if over || !tell(&signs, serving(Rung::Heartbeat, "")).await {
            return;
        }
    }
}

/// Answers only when nobody is interested any more.
async fn serve(watch: &mut watch::Receiver<Watch>, signs: &mpsc::Sender<Sign>) -> bool {
    let mut counters = match mount_with_counters()
        .and_then(|mount| Counters::new(mount).map_err(|fault| fault.to_string()))
    {
        Ok(counters) => counters,
        Err(why) => {
            let told = tell(signs, serving(Rung::Systemd, &why)).await;
            return !told || std::future::pending().await;
        }
    };
    if !tell(signs, serving(Rung::Procfs, "")).await {
        return true;
    }
    loop {
        tokio::select! {
            changed = watch.changed() => {
                if changed.is_err() {
                    return true;
                }
                let wanted = watch.borrow_and_update().clone();
                counters.watch(&wanted).await;
            }
            killed = counters.killed() => {
                let killed = OomKill { cgroup: killed, pid: 0, comm: String::new() };
                if !tell(signs, Saw::OomKill(killed)).await {
                    return true;
                }
            }
        }
    }
}

/// What it would serve here.
pub fn offer() -> Vec<Serving> {
    match mount_with_counters() {
        Ok(_) => vec![word(Rung::Procfs, "")],
        Err(why) => vec![word(Rung::Systemd, &why)],
    }
}

fn mount_with_counters() -> Result<PathBuf, String> {
    let mount = systemd::cgroup::mount().map_err(|fault| fault.to_string())?;
    let controllers = fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default();
    match controllers.split_whitespace().any(|name| name == "memory") {
        true => Ok(mount),
        false => Err("the memory controller is not one of cgroup2".to_owned()),
    }
}

fn serving(rung: Rung, why: &str) -> Saw {
    Saw::Serving(vec![word(rung, why)])
}

fn word(rung: Rung, why: &str) -> Serving {
    Serving { class: FailureClass::OomKill, rung, why: why.to_owned() }
}

/// The counters of the watched cgroups.
struct Counters {
    mount: PathBuf,
    events: EventStream<Vec<u8>>,
    watched: BTreeMap<CgroupId, Counter>,
}

struct Counter {
    place: PathBuf,
    descriptor: WatchDescriptor,
    kills: u64,
}

impl Counters {
    fn new(mount: PathBuf) -> io::Result<Counters> {
        let events = Inotify::init()?.into_event_stream(vec![0; BUFFER])?;
        Ok(Counters { mount, events, watched: BTreeMap::new() })
    }

    async fn watch(&mut self, wanted: &Watch) {
        let mut watches = self.events.watches();
        for (_, gone) in self.watched.extract_if(.., |cgroup, _| !wanted.cgroups.contains_key(cgroup)) {
            let _it_went_with_its_cgroup = watches.remove(gone.descriptor);
        }
        for cgroup in wanted.cgroups.keys() {
            if self.watched.contains_key(cgroup) {
                continue;
            }
            let (mount, id) = (self.mount.clone(), *cgroup);
            let found = spawn_blocking(move || systemd::cgroup::directory(&mount, id)).await;
            let Some(place) = found.ok().flatten().map(|place| place.join(COUNTER)) else { continue };
            // counted after it is watched: no kill falls in between
            if let Ok(descriptor) = watches.add(&place, WatchMask::MODIFY) {
                let kills = kills(&place).unwrap_or(0);
                self.watched.insert(id, Counter { place, descriptor, kills });
            }
        }
    }

    /// The next cgroup with a kill. May be dropped at any await.
    async fn killed(&mut self) -> CgroupId {
        loop {
            for (cgroup, counter) in &mut self.watched {
                let now = kills(&counter.place).unwrap_or(counter.kills);
                if std::mem::replace(&mut counter.kills, now) < now {
                    return *cgroup;
                }
            }
            if self.events.next().await.is_none() {
                return std::future::pending().await;
            }
        }
    }
}

fn kills(place: &Path) -> Option<u64> {
    counted(&fs::read_to_string(place).ok()?)
}

fn counted(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

async fn tell(signs: &mpsc::Sender<Sign>, saw: Saw) -> bool {
    signs.send(Sign { at: clock::now(), source: Source::Procfs, saw }).await.is_ok()
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::MetadataExt, time::Duration};

    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn the_counter_is_that_of_kills_and_no_other() {
        let text = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 9\n";
        assert_eq!(counted(text), Some(2));
        assert_eq!(counted("oom 3\n"), None);
        assert_eq!(counted("oom_kill x\n"), None);
    }

    #[tokio::test]
    async fn f1_a_kill_for_want_of_memory_is_seen_by_the_counter_of_its_cgroup_and_told_once() {
        let mount = tempfile::tempdir().unwrap();
        let cgroups = ["one", "two"].map(|name| mount.path().join(name));
        let count = |place: &Path, kills: u64| {
            fs::write(place.join(COUNTER), format!("oom 9\noom_kill {kills}\n")).unwrap();
        };
        let ids = cgroups.each_ref().map(|place| {
            fs::create_dir(place).unwrap();
            count(place, 4);
            CgroupId(place.metadata().unwrap().ino())
        });
        let mut counters = Counters::new(mount.path().into()).unwrap();
        let wanted = Watch { cgroups: ids.iter().map(|id| (*id, vec![])).collect(), ..Watch::default() };
        counters.watch(&wanted).await;
        for (place, kills, id) in
            [(&cgroups[1], 5, ids[1]), (&cgroups[0], 5, ids[0]), (&cgroups[1], 6, ids[1])]
        {
            count(place, kills);
            assert_eq!(timeout(PATIENCE, counters.killed()).await.unwrap(), id);
        }
    }
}
