//! The lower rungs of what becomes of processes: sources that work only while nothing better sees what they would.
//!
//! Each is told whether it is wanted by the table of rungs, in which it appears itself: it is, as long as a class that it serves
//! is served by nothing better.

use tokio::sync::{mpsc, watch};

use crate::{
    model::{FailureClass, Rung, Serving, Sign, Watch},
    sources::{memory_events, pidfd, proc_connector},
};

/// A source is wanted while one of these classes is served by this rung or a worse one.
type Wanted = &'static [(FailureClass, Rung)];

const PROC_CONNECTOR: Wanted =
    &[(FailureClass::Exit, Rung::ProcConnector), (FailureClass::Zombie, Rung::ProcConnector)];
/// systemd says how a main process ended, this says it sooner: they go together.
const PIDFD: Wanted = &[(FailureClass::Exit, Rung::Systemd), (FailureClass::Zombie, Rung::Pidfd)];
/// Also says where there is no counter of kills, and systemd's word is the last.
const MEMORY_EVENTS: Wanted = &[(FailureClass::OomKill, Rung::Systemd)];

/// Starts the sources, and says to each when it is wanted. They end with the engine.
pub(super) fn start(
    serving: watch::Receiver<Vec<Serving>>,
    watched: &watch::Receiver<Watch>,
    signs: &mpsc::Sender<Sign>,
) {
    let mut rungs = Vec::new();
    let mut active = |wanted: Wanted| {
        let (tell, told) = watch::channel(false);
        rungs.push((wanted, tell));
        told
    };
    tokio::spawn(proc_connector::run(watched.clone(), signs.clone(), active(PROC_CONNECTOR)));
    tokio::spawn(pidfd::run(watched.clone(), signs.clone(), active(PIDFD)));
    tokio::spawn(memory_events::run(watched.clone(), signs.clone(), active(MEMORY_EVENTS)));
    tokio::spawn(follow(serving, rungs));
}

async fn follow(mut serving: watch::Receiver<Vec<Serving>>, rungs: Vec<(Wanted, watch::Sender<bool>)>) {
    while serving.changed().await.is_ok() {
        let table = serving.borrow_and_update().clone();
        for (wanted, tell) in &rungs {
            let is = is_wanted(wanted, &table);
            tell.send_if_modified(|active| std::mem::replace(active, is) != is);
        }
    }
}

fn is_wanted(wanted: Wanted, table: &[Serving]) -> bool {
    let served = |class: FailureClass| table.iter().find(|serving| serving.class == class);
    wanted.iter().any(|(class, own)| served(*class).is_some_and(|serving| serving.rung >= *own))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Who is wanted, by which rung serves this class, and all other classes are served by the best.
    fn check(class: FailureClass, expected: Expect) {
        let mut text = String::new();
        let lower =
            [Rung::TpBtf, Rung::Tracepoint, Rung::ProcConnector, Rung::Systemd, Rung::Pidfd, Rung::Procfs];
        for rung in lower.into_iter().chain([Rung::Heartbeat]) {
            let serving = |of| Serving {
                class: of,
                rung: if of == class { rung } else { Rung::TpBtf },
                why: String::new(),
            };
            let table = FailureClass::ALL.map(serving);
            let sources =
                [("proc_connector", PROC_CONNECTOR), ("pidfd", PIDFD), ("memory_events", MEMORY_EVENTS)];
            let wanted: Vec<&str> = sources
                .iter()
                .filter(|(_, wanted)| is_wanted(wanted, &table))
                .map(|(name, _)| *name)
                .collect();
            text += &format!("{class} by {rung}: {}\n", wanted.join(" "));
        }
        expected.assert_eq(&text);
    }

    #[test]
    fn f1_a_source_is_wanted_while_nothing_better_serves() {
        check(
            FailureClass::Exit,
            expect![[r#"
            exit by tp_btf: 
            exit by tracepoint: 
            exit by proc_connector: proc_connector
            exit by systemd: proc_connector pidfd
            exit by pidfd: proc_connector pidfd
            exit by procfs: proc_connector pidfd
            exit by heartbeat: proc_connector pidfd
        "#]],
        );
        check(
            FailureClass::Zombie,
            expect![[r#"
            zombie by tp_btf: 
            zombie by tracepoint: 
            zombie by proc_connector: proc_connector
            zombie by systemd: proc_connector
            zombie by pidfd: proc_connector pidfd
            zombie by procfs: proc_connector pidfd
            zombie by heartbeat: proc_connector pidfd
        "#]],
        );
        check(
            FailureClass::OomKill,
            expect![[r#"
            oom_kill by tp_btf: 
            oom_kill by tracepoint: 
            oom_kill by proc_connector: 
            oom_kill by systemd: memory_events
            oom_kill by pidfd: memory_events
            oom_kill by procfs: memory_events
            oom_kill by heartbeat: memory_events
        "#]],
        );
        check(
            FailureClass::Sender,
            expect![[r#"
            sender by tp_btf: 
            sender by tracepoint: 
            sender by proc_connector: 
            sender by systemd: 
            sender by pidfd: 
            sender by procfs: 
            sender by heartbeat: 
        "#]],
        );
    }

    #[test]
    fn f1_before_anyone_has_spoken_nobody_is_wanted() {
        assert!(![PROC_CONNECTOR, PIDFD, MEMORY_EVENTS].iter().any(|wanted| is_wanted(wanted, &[])));
    }
}
