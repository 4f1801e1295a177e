//! Probes live on when their process is gone, as long as someone keeps their descriptors; another process goes on with them.

use std::{
    fs::File,
    os::{fd::OwnedFd, unix::fs::FileExt},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use watchdog::{
    model::{Port, Saw, Unit},
    sources::ebpf::{Kept, Probes},
};

use crate::stage::{object, play};

#[test]
fn what_happens_while_nobody_reads_is_told_by_the_next_one() -> Result<()> {
    play(async |stage| {
        let (mut main, mut server) = (stage.puppet()?, stage.stranger()?);
        stage.watch_mains(&[&main])?;
        server.act("listen 8080")?;
        stage.watch_port(8080, 250, 60_000)?;
        let kept = stage.leave()?;
        let died = main.pid();
        main.last_act("exit 3")?;
        main.end()?;
        // a timer of the kernel runs on too
        let _client = std::net::TcpStream::connect("127.0.0.1:8080")?;
        let (cgroup, left) = (stage.cgroup.id()?, stage.adopt(kept)?);
        assert_eq!(left.cgroups[&cgroup], [died]);
        assert_eq!(left.ports[&Port(8080)].accept_after, Duration::from_millis(250));
        // the filters are the next one's now
        stage.watch_port(8081, 250, 60_000)?;
        stage.find(|saw| matches!(saw, Saw::Exit(exit) if exit.pid == died)).await?;
        stage.find(|saw| matches!(saw, Saw::AcceptStall(stall) if stall.port == Port(8080))).await?;
        let mut other = stage.stranger()?;
        other.act("listen 8081")?;
        stage.find(|saw| *saw == Saw::ListenerUp(Port(8081))).await?;
        server.act("unlisten")?;
        stage.find(|saw| *saw == Saw::ListenerDown { port: Port(8080), left: 0 }).await.map(drop)
    })
}

#[test]
fn whose_cgroups_they_are_is_left_too() -> Result<()> {
    play(async |stage| {
        let unit: Unit = "some.service".parse()?;
        stage.watch_unit(&unit)?;
        let kept = stage.leave()?;
        let (cgroup, left) = (stage.cgroup.id()?, stage.adopt(kept)?);
        assert_eq!(left.units[&cgroup], unit);
        Ok(())
    })
}

#[test]
fn f1_where_a_program_is_missing_the_others_are_left_and_adopted() -> Result<()> {
    play(async |stage| {
        let mut main = stage.puppet()?;
        stage.watch_mains(&[&main])?;
        let mut kept = stage.leave()?;
        kept.retain(|(name, _)| !name.ends_with("-signal"));
        let note = File::from(named(&mut kept, "units")?.1.try_clone()?);
        let text = br#"{"units":[],"missing":[{"program":"signal","why":"not here"}]}"#;
        note.set_len(0)?;
        note.write_all_at(text, 0)?;
        stage.adopt(kept)?;
        ensure!(
            matches!(stage.missing()?, [one] if one.why == "not here"),
            "it is not known what is missing"
        );
        let died = main.pid();
        main.last_act("exit 3")?;
        stage.find(|saw| matches!(saw, Saw::Exit(exit) if exit.pid == died)).await.map(drop)
    })
}

/// Damages what is kept; it must be refused with these words.
fn refused(
    damage: impl FnOnce(&mut Vec<Kept>) -> Result<()> + Send + 'static,
    words: &'static str,
) -> Result<()> {
    play(async move |stage| {
        let mut kept = stage.leave()?;
        damage(&mut kept)?;
        let Err(why) = Probes::adopt_object(&object()?, kept) else { panic!("it was adopted") };
        ensure!(why.contains(words), "it does not say {words:?}: {why}");
        Ok(())
    })
}

fn named<'a>(kept: &'a mut [Kept], what: &str) -> Result<&'a mut Kept> {
    kept.iter_mut().find(|(name, _)| name.ends_with(&format!("-{what}"))).context(what.to_owned())
}

/// What is none of ours, under this name.
fn replaced(what: &'static str, words: &'static str) -> Result<()> {
    let replace = move |kept: &mut Vec<Kept>| {
        named(kept, what)?.1 = file()?;
        Ok(())
    };
    refused(replace, words)
}

fn file() -> Result<OwnedFd> {
    Ok(File::open("/dev/null")?.into())
}

#[test]
fn what_is_no_map_is_refused() -> Result<()> {
    replaced("EVENTS", "EVENTS is no map")
}

#[test]
fn a_map_under_the_name_of_another_is_refused() -> Result<()> {
    let swap = |kept: &mut Vec<Kept>| {
        let other = named(kept, "SERVICES")?.1.try_clone()?;
        named(kept, "CGROUPS")?.1 = other;
        Ok(())
    };
    refused(swap, "CGROUPS")
}

#[test]
fn a_link_under_the_name_of_another_is_refused() -> Result<()> {
    let swap = |kept: &mut Vec<Kept>| {
        let other = named(kept, "exit")?.1.try_clone()?;
        named(kept, "signal")?.1 = other;
        Ok(())
    };
    refused(swap, "signal is no link of that program")
}

#[test]
fn what_is_no_link_is_refused() -> Result<()> {
    replaced("seed", "seed is no link of that program")
}

#[test]
fn what_is_no_note_is_refused() -> Result<()> {
    replaced("units", "units is no note")
}

#[test]
fn what_is_incomplete_is_refused() -> Result<()> {
    refused(
        |kept| {
            kept.retain(|(name, _)| !name.ends_with("-LOST"));
            Ok(())
        },
        "-LOST",
    )
}

#[test]
fn what_is_one_too_many_is_refused() -> Result<()> {
    let add = |kept: &mut Vec<Kept>| {
        kept.push(("stored".into(), file()?));
        Ok(())
    };
    refused(add, "stored is one too many")
}

#[test]
fn probes_of_another_object_are_refused() -> Result<()> {
    play(async |stage| {
        let kept = stage.leave()?;
        let Err(why) = Probes::adopt_object(b"another", kept) else { panic!("it was adopted") };
        ensure!(why.contains("there is no watchdog-"), "{why}");
        Ok(())
    })
}
