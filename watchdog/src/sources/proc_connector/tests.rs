//! With the kernel's own messages where it tells them: as root, in the first namespaces.

use std::process::{Child, Command, Stdio};

use rustix::process::{Signal, kill_process};
use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn sleeper() -> Child {
    Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap()
}

fn room() -> (Known, mpsc::Receiver<Sign>) {
    let (signs, seen) = mpsc::channel(64);
    (Known::new(&signs), seen)
}

fn member(known: &mut Known, pid: u32, is_main: bool) {
    known.members.insert(pid, Member { cgroup: CgroupId(7), is_main, comm: "nginx".into() });
}

#[test]
fn f1_ends_of_others_are_told_now_and_then_with_how_many_were_left_out() {
    let (mut known, _seen) = room();
    let segfault = Cause::Signal { signal: 11, core: false };
    (1..=5).for_each(|pid| member(&mut known, pid, false));
    let mut told =
        |at_ms: u64, pid, cause| known.exit(Mono(at_ms * 1_000_000), pid, cause).map(|exit| exit.more);
    assert_eq!(told(10, 1, segfault), Some(0));
    assert_eq!(told(20, 2, segfault), None);
    assert_eq!(told(30, 3, Cause::Code(0)), None);
    assert_eq!(told(40, 99, segfault), None);
    assert_eq!(told(1010, 4, segfault), Some(1));
    assert_eq!(told(1020, 4, segfault), None);
}

#[test]
fn f1_the_end_of_a_main_process_is_always_told() {
    let (mut known, _seen) = room();
    for pid in 1..=3 {
        member(&mut known, pid, true);
        let exit = known.exit(Mono(1), pid, Cause::Code(0)).unwrap();
        assert_eq!((exit.pid, exit.more, exit.comm.as_str()), (pid, 0, "nginx"));
    }
}

/// Where the kernel tells nothing to us, it says so; where it does, ends of watched processes come with their cause, and of
/// others nothing comes.
#[tokio::test]
async fn f1_the_kernel_tells_the_ends_of_watched_processes_or_says_that_it_does_not() {
    let mut ear = match Ear::open().await {
        Ok(ear) => ear,
        Err(fault) => {
            assert!(fault.is_final(), "{fault}");
            return;
        }
    };
    let (mut main, mut stranger) = (sleeper(), sleeper());
    ear.let_through([main.id()].into_iter()).unwrap();
    for child in [&mut stranger, &mut main] {
        kill_process(rustix::process::Pid::from_child(child), Signal::TERM).unwrap();
        child.wait().unwrap();
    }
    let Heard::Events(events) = timeout(PATIENCE, ear.hear()).await.unwrap().unwrap() else {
        panic!("a gap")
    };
    let ends: Vec<u32> = events
        .iter()
        .map(|event| match event {
            Event::Exit { pid, cause: Cause::Signal { signal: 15, core: false }, at: _ } => *pid,
            Event::Exit { .. } | Event::Answer(_) => panic!("{event:?}"),
        })
        .collect();
    assert_eq!(ends, [main.id()]);
}
