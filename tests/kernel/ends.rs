//! Processes end, and signals are sent.

use anyhow::Result;
use watchdog::model::{Cause, Exit, Saw, Sender, SignalSent};

use crate::stage::{Puppet, Stage, play};

fn exit(stage: &Stage, pid: u32, cause: Cause) -> Result<Saw> {
    Ok(Saw::Exit(Exit { cgroup: stage.cgroup.id()?, pid, cause, comm: "puppet".to_owned() }))
}

/// Ends a puppet by an order, and expects one exit and nothing else.
fn check(order: &'static str, threads: u32, cause: Cause) -> Result<()> {
    play(async move |stage| {
        stage.watch_cgroup()?;
        let mut puppet = stage.puppet()?;
        puppet.act(&format!("threads {threads}"))?;
        puppet.last_act(order)?;
        assert_eq!(stage.saw().await?, exit(stage, puppet.pid(), cause)?);
        fence(stage).await
    })
}

/// Nothing was told before this.
async fn fence(stage: &mut Stage) -> Result<()> {
    let mut puppet = stage.puppet()?;
    puppet.last_act("exit 99")?;
    assert_eq!(stage.saw().await?, exit(stage, puppet.pid(), Cause::Code(99))?);
    Ok(())
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
        stage.watch_cgroup()?;
        let (puppet, mut killer) = (stage.puppet()?, stage.stranger()?);
        killer.act(&format!("kill {} 9", puppet.pid()))?;
        let sender = Sender::Process {
            pid: killer.pid(),
            uid: 0,
            comm: "puppet".to_owned(),
            cgroup: stage.elsewhere.id()?,
        };
        let sent = SignalSent { cgroup: stage.cgroup.id()?, pid: puppet.pid(), signal: 9, sender };
        assert_eq!(stage.saw().await?, Saw::SignalSent(sent));
        assert_eq!(stage.saw().await?, exit(stage, puppet.pid(), Cause::Signal { signal: 9, core: false })?);
        fence(stage).await
    })
}

/// The last threads of a process end at the same time on several CPUs, and each sees that none is left.
#[test]
fn a_kill_of_many_threads_is_told_once() -> Result<()> {
    play(async |stage| {
        stage.watch_cgroup()?;
        let mut killer = stage.stranger()?;
        for _ in 0..100 {
            let mut puppet = stage.puppet()?;
            puppet.act("threads 20")?;
            killer.act(&format!("kill {} 15", puppet.pid()))?;
            let Saw::SignalSent(sent) = stage.saw().await? else { panic!("no signal") };
            assert_eq!((sent.pid, sent.signal), (puppet.pid(), 15));
            let ended = exit(stage, puppet.pid(), Cause::Signal { signal: 15, core: false })?;
            assert_eq!(stage.saw().await?, ended);
        }
        fence(stage).await
    })
}

#[test]
fn a_fault_is_sent_by_the_kernel() -> Result<()> {
    play(async |stage| {
        stage.watch_cgroup()?;
        let mut puppet = stage.puppet()?;
        puppet.last_act("overflow")?;
        let sent =
            SignalSent { cgroup: stage.cgroup.id()?, pid: puppet.pid(), signal: 11, sender: Sender::Kernel };
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
        assert!(matches!(ended.cause, Cause::Signal { signal: 6, .. }));
        Ok(())
    })
}

#[test]
fn a_stop_is_told_and_a_child_signal_is_not() -> Result<()> {
    play(async |stage| {
        stage.watch_cgroup()?;
        let (puppet, mut sender) = (stage.puppet()?, stage.stranger()?);
        sender.act(&format!("kill {} 17", puppet.pid()))?;
        sender.act(&format!("kill {} 19", puppet.pid()))?;
        assert!(matches!(stage.saw().await?, Saw::SignalSent(SignalSent { signal: 19, .. })));
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
        stage.watch_cgroup()?;
        let (mut one, two) = (stage.stranger()?, stage.stranger()?);
        one.act(&format!("kill {} 9", two.pid()))?;
        one.last_act("exit 7")?;
        drop((one, two));
        fence(stage).await
    })
}

#[test]
fn a_process_of_another_network_namespace_ends_all_the_same() -> Result<()> {
    play(async |stage| {
        stage.watch_cgroup()?;
        let mut puppet = Puppet::far_away(stage)?;
        puppet.act("threads 1")?;
        puppet.last_act("exit 8")?;
        let ended = stage.find(|saw| matches!(saw, Saw::Exit(Exit { cause: Cause::Code(8), .. }))).await?;
        assert_eq!(ended.saw, exit(stage, puppet.pid(), Cause::Code(8))?);
        Ok(())
    })
}
