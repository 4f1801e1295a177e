//! Processes end, and signals are sent.
//!
//! The kernel tells of a main process always, of others now and then: where two are to be told in a row, the later one is a
//! main process.

use std::time::Duration;

use anyhow::Result;
use watchdog::model::{Cause, Exit, Saw, Sender, SignalSent};

use crate::stage::{Puppet, Stage, play};

fn exit(stage: &Stage, pid: u32, cause: Cause) -> Result<Saw> {
    Ok(Saw::Exit(Exit {
        cgroup: stage.cgroup.id()?,
        pid,
        cause: Some(cause),
        comm: "puppet".to_owned(),
        more: 0,
    }))
}

/// Ends a puppet by an order, and expects one exit and nothing else.
fn check(order: &'static str, threads: u32, cause: Cause) -> Result<()> {
    play(async move |stage| {
        let (mut puppet, main) = (stage.puppet()?, stage.puppet()?);
        stage.watch_mains(&[&main])?;
        puppet.act(&format!("threads {threads}"))?;
        puppet.last_act(order)?;
        assert_eq!(stage.saw().await?, exit(stage, puppet.pid(), cause)?);
        fence(stage, main).await
    })
}

/// Nothing was told before the end of this main process.
async fn fence(stage: &mut Stage, mut main: Puppet) -> Result<()> {
    main.last_act("exit 99")?;
    assert_eq!(stage.saw().await?, exit(stage, main.pid(), Cause::Code(99))?);
    Ok(())
}

#[test]
fn a_clean_exit_of_a_worker_is_not_told_and_that_of_the_main_process_is() -> Result<()> {
    play(async |stage| {
        let mut main = stage.puppet()?;
        stage.watch_mains(&[&main])?;
        for _ in 0..20 {
            let mut worker = stage.puppet()?;
            worker.last_act("exit 0")?;
            worker.end()?;
        }
        main.last_act("exit 0")?;
        assert_eq!(stage.saw().await?, exit(stage, main.pid(), Cause::Code(0))?);
        Ok(())
    })
}

#[test]
fn a_clean_exit_is_not_told_while_no_main_process_is_known() -> Result<()> {
    play(async |stage| {
        stage.watch_cgroup()?;
        let (mut clean, mut unclean) = (stage.puppet()?, stage.puppet()?);
        clean.last_act("exit 0")?;
        clean.end()?;
        unclean.last_act("exit 1")?;
        assert_eq!(stage.saw().await?, exit(stage, unclean.pid(), Cause::Code(1))?);
        Ok(())
    })
}

/// The kernel remembers whose processes are nobody's.
#[test]
fn a_cgroup_that_was_nobodys_is_told_of_as_soon_as_it_is_watched() -> Result<()> {
    play(async |stage| {
        let (mut before, mut main, stopped) = (stage.puppet()?, stage.puppet()?, stage.puppet()?);
        let mut sender = stage.stranger()?;
        for _ in 0..2 {
            sender.act(&format!("kill {} 19", stopped.pid()))?;
        }
        before.last_act("exit 3")?;
        before.end()?;
        stage.watch_mains(&[&main, &stopped])?;
        sender.act(&format!("kill {} 19", stopped.pid()))?;
        let Saw::SignalSent(sent) = stage.saw().await? else { panic!("no signal") };
        assert_eq!((sent.pid, sent.more), (stopped.pid(), 0));
        main.last_act("exit 4")?;
        assert_eq!(stage.saw().await?, exit(stage, main.pid(), Cause::Code(4))?);
        Ok(())
    })
}

/// Puppets that end as fast as they can be told to.
#[test]
fn unclean_exits_of_workers_are_told_now_and_then_with_how_many_were_left_out() -> Result<()> {
    const WORKERS: u32 = 60;
    play(async |stage| {
        let main = stage.puppet()?;
        let workers = (0..WORKERS).map(|_| stage.puppet()).collect::<Result<Vec<_>>>()?;
        stage.watch_mains(&[&main])?;
        for mut worker in workers {
            worker.last_act("exit 3")?;
            worker.end()?;
        }
        let pid = main.pid();
        let mut main = main;
        main.last_act("exit 4")?;
        let (mut told, mut all, mut last) = (0, 0, None);
        loop {
            let sign = stage.next().await?;
            let Saw::Exit(ended) = sign.saw else { panic!("{:?}", sign.saw) };
            all += ended.more;
            if ended.pid == pid {
                break;
            }
            (told, all) = (told + 1, all + 1);
            let since = last.replace(sign.at).map(|last| sign.at.since(last));
            assert!(since.is_none_or(|since| since >= Duration::from_millis(100)), "told after {since:?}");
        }
        println!("{told} told of {WORKERS}");
        assert!(told < WORKERS, "nothing was left out");
        assert_eq!(all, WORKERS, "nothing is lost unnoticed");
        Ok(())
    })
}

#[test]
fn signals_to_workers_are_told_now_and_then_and_those_to_the_main_process_always() -> Result<()> {
    const SIGNALS: u32 = 200;
    play(async |stage| {
        let (main, worker, mut sender) = (stage.puppet()?, stage.puppet()?, stage.stranger()?);
        stage.watch_mains(&[&main])?;
        for _ in 0..SIGNALS {
            sender.act(&format!("kill {} 19", worker.pid()))?;
        }
        sender.act(&format!("kill {} 19", main.pid()))?;
        sender.act(&format!("kill {} 19", main.pid()))?;
        let (mut told, mut all, mut mains) = (0, 0, 0);
        while mains < 2 {
            let Saw::SignalSent(sent) = stage.saw().await? else { panic!("no signal") };
            all += sent.more;
            if sent.pid == main.pid() {
                mains += 1;
            } else {
                (told, all) = (told + 1, all + 1);
            }
        }
        println!("{told} told of {SIGNALS}");
        assert!(told < SIGNALS, "nothing was left out");
        assert_eq!(all, SIGNALS, "nothing is lost unnoticed");
        Ok(())
    })
}

#[test]
fn another_main_process_is_known_at_once() -> Result<()> {
    play(async |stage| {
        let (mut old, mut new) = (stage.puppet()?, stage.puppet()?);
        stage.watch_mains(&[&old])?;
        stage.watch_mains(&[&new])?;
        old.last_act("exit 0")?;
        old.end()?;
        new.last_act("exit 0")?;
        assert_eq!(stage.saw().await?, exit(stage, new.pid(), Cause::Code(0))?);
        Ok(())
    })
}

#[test]
fn an_exit_is_told_with_its_code() -> Result<()> {
    check("exit 3", 0, Cause::Code(3))
}

#[test]
fn a_process_of_many_threads_ends_once() -> Result<()> {
    check("exit 4", 7, Cause::Code(4))
}

#[test]
fn a_thread_that_ends_the_process_gives_the_code() -> Result<()> {
    check("exit-thread 5", 7, Cause::Code(5))
}

#[test]
fn a_kill_is_told_with_its_sender_before_the_end() -> Result<()> {
    play(async |stage| {
        let (puppet, mut killer, main) = (stage.puppet()?, stage.stranger()?, stage.puppet()?);
        stage.watch_mains(&[&main])?;
        killer.act(&format!("kill {} 9", puppet.pid()))?;
        let sender = Sender::Process {
            pid: killer.pid(),
            uid: 0,
            comm: "puppet".to_owned(),
            cgroup: stage.elsewhere.id()?,
            unit: stage.elsewhere.name(),
        };
        let sent = SignalSent { cgroup: stage.cgroup.id()?, pid: puppet.pid(), signal: 9, sender, more: 0 };
        assert_eq!(stage.saw().await?, Saw::SignalSent(sent));
        assert_eq!(stage.saw().await?, exit(stage, puppet.pid(), Cause::Signal { signal: 9, core: false })?);
        fence(stage, main).await
    })
}

#[test]
fn f3_a_sender_is_told_by_its_unit_though_that_is_gone() -> Result<()> {
    play(async |stage| {
        let puppet = stage.puppet()?;
        stage.watch_mains(&[&puppet])?;
        let mut killer = stage.elsewhere.puppet_below("reaper.service")?;
        killer.act(&format!("kill {} 9", puppet.pid()))?;
        drop(killer);
        stage.elsewhere.remove_below("reaper.service")?;
        let Saw::SignalSent(SignalSent { sender: Sender::Process { unit, .. }, .. }) = stage.saw().await?
        else {
            panic!("no signal of a process")
        };
        assert_eq!(unit, "reaper.service");
        Ok(())
    })
}

/// The last threads of a process end at the same time on several CPUs, and each sees that none is left.
#[test]
fn a_kill_of_many_threads_is_told_once() -> Result<()> {
    play(async |stage| {
        let mut killer = stage.stranger()?;
        let mut killed = vec![];
        for _ in 0..100 {
            let mut puppet = stage.puppet()?;
            stage.watch_mains(&[&puppet])?;
            puppet.act("threads 20")?;
            killer.act(&format!("kill {} 15", puppet.pid()))?;
            killed.push(puppet.pid());
            puppet.end()?;
        }
        let main = stage.puppet()?;
        stage.watch_mains(&[&main])?;
        for pid in killed {
            let Saw::SignalSent(sent) = stage.saw().await? else { panic!("no signal") };
            assert_eq!((sent.pid, sent.signal), (pid, 15));
            let ended = exit(stage, pid, Cause::Signal { signal: 15, core: false })?;
            assert_eq!(stage.saw().await?, ended);
        }
        fence(stage, main).await
    })
}

#[test]
fn a_fault_is_sent_by_the_kernel() -> Result<()> {
    play(async |stage| {
        stage.watch_cgroup()?;
        let mut puppet = stage.puppet()?;
        puppet.last_act("overflow")?;
        let (cgroup, pid, sender) = (stage.cgroup.id()?, puppet.pid(), Sender::Kernel);
        let sent = SignalSent { cgroup, pid, signal: 11, sender, more: 0 };
        assert_eq!(stage.saw().await?, Saw::SignalSent(sent));
        Ok(())
    })
}

#[test]
fn an_abort_is_sent_by_the_process_itself() -> Result<()> {
    play(async |stage| {
        stage.watch_cgroup()?;
        let mut puppet = stage.puppet()?;
        puppet.last_act("abort")?;
        let Saw::SignalSent(sent) = stage.saw().await? else { panic!("no signal") };
        assert_eq!((sent.signal, sent.pid), (6, puppet.pid()));
        assert!(matches!(sent.sender, Sender::Process { pid, .. } if pid == puppet.pid()));
        let Saw::Exit(ended) = stage.saw().await? else { panic!("no exit") };
        assert!(matches!(ended.cause, Some(Cause::Signal { signal: 6, .. })));
        Ok(())
    })
}

#[test]
fn a_stop_of_either_kind_is_told_and_a_child_signal_is_not() -> Result<()> {
    play(async |stage| {
        let (puppet, main, mut sender) = (stage.puppet()?, stage.puppet()?, stage.stranger()?);
        stage.watch_mains(&[&main])?;
        sender.act(&format!("kill {} 17", puppet.pid()))?;
        sender.act(&format!("kill {} 19", puppet.pid()))?;
        assert!(matches!(stage.saw().await?, Saw::SignalSent(SignalSent { signal: 19, .. })));
        sender.act(&format!("kill {} 20", main.pid()))?;
        assert!(matches!(stage.saw().await?, Saw::SignalSent(SignalSent { signal: 20, .. })));
        Ok(())
    })
}

#[test]
fn a_process_two_levels_below_belongs_to_the_watched_cgroup() -> Result<()> {
    play(async |stage| {
        stage.watch_cgroup()?;
        let mut puppet = stage.cgroup.puppet_below("workers/first")?;
        puppet.last_act("exit 6")?;
        assert_eq!(stage.saw().await?, exit(stage, puppet.pid(), Cause::Code(6))?);
        Ok(())
    })
}

#[test]
fn a_process_of_a_pid_namespace_below_is_told_by_its_number_here() -> Result<()> {
    play(async |stage| {
        stage.watch_cgroup()?;
        let mut puppet = Puppet::in_pid_namespace(stage)?;
        puppet.act("threads 1")?;
        let inner = puppet.only_child()?;
        puppet.last_act("exit 10")?;
        assert_eq!(stage.saw().await?, exit(stage, inner, Cause::Code(10))?);
        Ok(())
    })
}

#[test]
fn what_happens_elsewhere_is_not_told() -> Result<()> {
    play(async |stage| {
        let main = stage.puppet()?;
        stage.watch_mains(&[&main])?;
        let (mut one, two) = (stage.stranger()?, stage.stranger()?);
        one.act(&format!("kill {} 9", two.pid()))?;
        one.last_act("exit 7")?;
        drop((one, two));
        fence(stage, main).await
    })
}

#[test]
fn a_process_of_another_network_namespace_ends_all_the_same() -> Result<()> {
    play(async |stage| {
        stage.watch_cgroup()?;
        let mut puppet = Puppet::far_away(stage)?;
        puppet.act("threads 1")?;
        puppet.last_act("exit 8")?;
        let ended =
            stage.find(|saw| matches!(saw, Saw::Exit(Exit { cause: Some(Cause::Code(8)), .. }))).await?;
        assert_eq!(ended.saw, exit(stage, puppet.pid(), Cause::Code(8))?);
        Ok(())
    })
}
