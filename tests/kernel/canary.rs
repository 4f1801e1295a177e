//! Do the probes still speak? They are asked by what we do ourselves, in the cgroup of this test.

use std::time::Duration;

use anyhow::Result;
use watchdog::{
    model::{FailureClass, Loss, Port, Rung, Saw},
    sources::ebpf::Program,
};

use crate::stage::play;

#[test]
fn a_healthy_host_hears_nothing_of_the_proof() -> Result<()> {
    play(async |stage| {
        stage.watch_cgroup()?;
        stage.probes()?.prove_every(Duration::from_millis(50));
        assert_eq!(stage.all_within(Duration::from_secs(1)).await?, []);
        let mut puppet = stage.puppet()?;
        puppet.last_act("exit 3")?;
        let sign = stage.next().await?;
        assert!(matches!(&sign.saw, Saw::Exit(exit) if exit.pid == puppet.pid()), "{sign:?}");
        Ok(())
    })
}

#[test]
fn a_probe_that_fell_silent_is_noticed_attached_again_and_heard() -> Result<()> {
    play(async |stage| {
        stage.watch_cgroup()?;
        stage.watch_port(8080, 60_000, 60_000)?;
        let probes = stage.probes()?;
        probes.prove_every(Duration::from_secs(60));
        probes.cut(Program::Exit);
        let deaf = Saw::Working { works: false, why: "the probe exit is deaf".into() };
        assert_eq!(stage.saw().await?, deaf);
        let why = "ends of processes are not seen in the kernel: what it should tell does not come";
        assert_eq!(exits_by(&stage.saw().await?), Some((Rung::Heartbeat, why)));
        // it sings at once again, to whoever was attached again
        assert_eq!(stage.saw().await?, Saw::Loss(Loss { lost: 0, place: "the probe exit was deaf".into() }));
        assert_eq!(stage.saw().await?, Saw::Working { works: true, why: String::new() });
        assert_eq!(exits_by(&stage.saw().await?), Some((Rung::TpBtf, "")));
        let mut puppet = stage.puppet()?;
        puppet.act("listen 8080")?;
        assert_eq!(stage.saw().await?, Saw::ListenerUp(Port(8080)));
        puppet.last_act("exit 3")?;
        let sign = stage.next().await?;
        assert!(matches!(&sign.saw, Saw::Exit(exit) if exit.pid == puppet.pid()), "{sign:?}");
        Ok(())
    })
}

#[test]
fn several_that_fell_silent_are_all_named() -> Result<()> {
    play(async |stage| {
        let probes = stage.probes()?;
        probes.prove_every(Duration::from_secs(60));
        [Program::Exit, Program::Signal, Program::State].into_iter().for_each(|program| probes.cut(program));
        let Saw::Working { works: false, why } = stage.saw().await? else { panic!("nobody was deaf") };
        for name in ["exit", "signal", "state"] {
            assert!(why.contains(name), "{why}");
        }
        stage.find(|saw| matches!(saw, Saw::Loss(_))).await?;
        assert_eq!(stage.saw().await?, Saw::Working { works: true, why: String::new() });
        Ok(())
    })
}

/// By what ends of processes are seen, and why by nothing better.
fn exits_by(saw: &Saw) -> Option<(Rung, &str)> {
    let Saw::Serving(table) = saw else { return None };
    let serving = table.iter().find(|serving| serving.class == FailureClass::Exit)?;
    Some((serving.rung, &serving.why))
}
