//! Storms: of what nobody watches, which wakes nobody; and of what is watched, where all that is lost is counted.

use std::{env, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::task::spawn_blocking;
use watchdog::{
    config,
    engine::{Core, Effect},
    model::{Cause, Mono, Saw, Unit, Why},
};

use crate::stage::{Cgroup, Puppet, play};

/// What is promised to be stood, each second.
const EXITS: u64 = 20_000;
const RECORDS: u64 = 50_000;

/// Seconds of the long storm: 10, and 60 at night.
fn seconds() -> Result<u64> {
    match env::var("WATCHDOG_STORM_SECONDS") {
        Ok(text) => text.parse().with_context(|| format!("WATCHDOG_STORM_SECONDS={text} is no number")),
        Err(_) => Ok(10),
    }
}

/// A process that makes much of one thing.
fn storm(cgroup: &Cgroup) -> Result<Puppet> {
    Puppet::start(&cgroup.path, &[env!("CARGO_BIN_EXE_storm")])
}

/// Has a storm do something while others act; what it answers comes with it.
fn begin(mut storm: Puppet, order: String) -> impl Future<Output = Result<u64>> {
    let task = spawn_blocking(move || storm.act(&order).map(|done| done.number));
    async { task.await? }
}

/// How often this thread, in which the reader of the probes runs, went to sleep.
fn sleeps() -> Result<u64> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.context("no count of switches")?.trim().parse().context("the count of switches")
}

#[test]
fn twenty_thousand_foreign_exits_a_second_wake_nobody() -> Result<()> {
    play(async |stage| {
        stage.watch_cgroup()?;
        // processes and threads in equal parts, 40,000 ends
        let half = EXITS / 2;
        let vforks = begin(storm(&stage.elsewhere)?, format!("vforks {EXITS} 1 {half}"));
        let threads = begin(storm(&stage.elsewhere)?, format!("threads {EXITS} {half}"));
        let before = sleeps()?;
        let (seen, rates) = stage.all_until(async { (vforks.await, threads.await) }).await?;
        let woken = sleeps()? - before;
        println!("{} and {} a second, the reader slept {woken} times", rates.0?, rates.1?);
        assert_eq!(seen, []);
        assert!(woken < 20, "{woken} wake-ups");
        Ok(())
    })
}

#[test]
fn an_exit_is_told_beside_a_storm_of_foreign_ones() -> Result<()> {
    play(async |stage| {
        stage.watch_cgroup()?;
        stage.run()?;
        let (mut vforks, mut threads) = (storm(&stage.elsewhere)?, storm(&stage.elsewhere)?);
        vforks.last_act(&format!("vforks {} 1 {}", 3600 * EXITS, EXITS / 2))?;
        threads.last_act(&format!("threads {} {}", 3600 * EXITS, EXITS / 2))?;
        let mut late = vec![];
        for _ in 0..20 {
            // the next end of a process that is not the main one is told after this
            let beside = stage.all_within(Duration::from_nanos(watchdog_common::OTHERS_NS)).await?;
            assert_eq!(beside, []);
            let mut puppet = stage.puppet()?;
            let pid = puppet.pid();
            puppet.last_act("exit 3")?;
            let sign = stage.next().await?;
            late.push(now().since(sign.at));
            let Saw::Exit(exit) = &sign.saw else { panic!("{sign:?}") };
            assert_eq!((exit.pid, exit.cause), (pid, Some(Cause::Code(3))));
        }
        late.sort();
        println!("told after {:?} at the median, {:?} at worst", late[10], late[19]);
        // a storm that has ended has written its answer
        ensure!(vforks.is_busy()? && threads.is_busy()?, "the storms were over too soon");
        Ok(())
    })
}

#[test]
fn fifty_thousand_records_a_second_are_told_or_counted() -> Result<()> {
    let seconds = seconds()?;
    records(seconds * RECORDS, RECORDS, Duration::from_secs(seconds) / 2)
}

#[test]
fn more_records_than_can_be_taken_are_told_or_counted() -> Result<()> {
    records(4 * RECORDS, 1000 * RECORDS, Duration::from_millis(300))
}

/// So many signals to a main process at this rate, and after a while the end of another: all of it is told or counted, and the
/// end is acted upon.
fn records(times: u64, rate: u64, after: Duration) -> Result<()> {
    let core = core()?;
    play(async move |stage| {
        let mut core = core;
        let (mut noisy, mut victim) = (storm(&stage.cgroup)?, stage.puppet()?);
        noisy.act("block 1")?;
        let unit: Unit = "noisy.service".parse()?;
        stage.watch_unit(&unit)?;
        stage.watch_mains(&[&noisy, &victim])?;
        core.inherit(stage.watched());
        stage.run()?;
        let mut storm = std::pin::pin!(begin(
            storm(&stage.elsewhere)?,
            format!("signals {} 1 {times} {rate}", noisy.pid())
        ));
        let mut seen = Seen::default();
        let mut half = std::pin::pin!(tokio::time::sleep(after));
        let (mut rate, mut killed) = (None, false);
        // what is produced: the signals, and one end
        while rate.is_none() || seen.told + seen.lost < times + 1 {
            tokio::select! {
                is = &mut storm, if rate.is_none() => rate = Some(is?),
                () = &mut half, if !killed => {
                    killed = true;
                    victim.last_act("exit 3")?;
                }
                sign = stage.next() => {
                    let sign = sign?;
                    seen.take(&sign.saw);
                    let effects = core.sign(now(), &sign);
                    seen.acted |= effects.iter().any(|effect| match effect {
                        Effect::Suspicion(suspicion) => matches!(suspicion.why, Why::MainExit { .. }),
                        // the end itself may be among what was lost
                        Effect::Reconcile => seen.lost_exit,
                        Effect::Found(_) | Effect::HeldUp(_) | Effect::Order(_) | Effect::Watch(_) => false,
                        Effect::ReadListeners | Effect::TellState => false,
                    });
                }
            }
        }
        let more = stage.all_within(Duration::from_millis(300)).await?;
        println!("{seen:?} of {times} at {rate:?} a second");
        assert_eq!(more, [], "more than was produced");
        assert!(seen.acted, "the end in the middle was not acted upon");
        Ok(())
    })
}

#[derive(Debug, Default)]
struct Seen {
    told: u64,
    lost: u64,
    losses: u64,
    lost_exit: bool,
    acted: bool,
}

impl Seen {
    fn take(&mut self, saw: &Saw) {
        if let Saw::Loss(loss) = saw {
            self.lost += loss.lost;
            self.losses += 1;
            self.lost_exit |= loss.place.contains(" of exit");
        } else {
            self.told += 1;
        }
    }
}

/// What decides, as a configuration of one unit makes it.
fn core() -> Result<Core> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("watchdog.toml");
    fs::write(&file, "[service.noisy]\nunit = \"noisy.service\"\n")?;
    let loaded = config::load(Some(&file)).map_err(|faults| anyhow::anyhow!(faults.render(false)))?;
    Ok(Core::new(now(), loaded.settings.policy, loaded.settings.suspicion, 1))
}

fn now() -> Mono {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Mono(time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs())
}
