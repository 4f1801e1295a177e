//! By what each class of failures is seen now: the words of all sources, merged.
//!
//! A source speaks for the classes that it knows of, each by itself, and its last word on a class holds; that it sees nothing
//! of a class it says as [`Rung::Heartbeat`], with the reason.
//! Invariant: every class is in the table, at the best rung that any source offers; the last is the heartbeat, which needs no
//! source. Deliberately absent: who starts a source or ends it; each looks at this table by itself.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

use crate::model::{FailureClass, Rung, Serving, Source};

/// What the sources said.
#[derive(Debug, Default)]
pub(super) struct Rungs {
    said: BTreeMap<(FailureClass, Source), Serving>,
    /// Something was said since the table was last told.
    news: bool,
    /// As last told; empty before.
    told: Vec<Serving>,
}

impl Rungs {
    /// A source speaks.
    pub(super) fn hear(&mut self, source: Source, serving: &[Serving]) {
        for word in serving {
            self.news = true;
            self.said.insert((word.class, source), word.clone());
        }
    }

    /// Something was said that may have changed the table.
    pub(super) fn is_news(&self) -> bool {
        self.news
    }

    /// The table, where it is another than the last time.
    pub(super) fn news(&mut self) -> Option<&[Serving]> {
        if !std::mem::take(&mut self.news) {
            return None;
        }
        let table: Vec<Serving> = FailureClass::ALL.iter().map(|class| self.serving(*class)).collect();
        if table == self.told {
            return None;
        }
        self.told = table;
        Some(&self.told)
    }

    fn serving(&self, class: FailureClass) -> Serving {
        let said = || self.said.iter().filter(move |((of, _), _)| *of == class);
        let rung = said().map(|(_, word)| word.rung).min().unwrap_or(Rung::Heartbeat);
        let mut better: Vec<(Rung, &str)> = said()
            .filter(|(_, word)| !word.why.is_empty())
            .map(|((_, source), word)| (best_of(*source, class), word))
            .filter(|(best, word)| *best < rung || word.rung == rung)
            .map(|(best, word)| (best, word.why.as_str()))
            .collect();
        better.sort_by_key(|(best, _)| *best);
        let why = better.iter().map(|(_, why)| *why).collect::<Vec<_>>().join("; ");
        Serving { class, rung, why }
    }
}

/// The table, where these sources say this and no other speaks.
pub fn rungs(said: &[(Source, Vec<Serving>)]) -> Vec<Serving> {
    let mut rungs = Rungs::default();
    said.iter().for_each(|(source, serving)| rungs.hear(*source, serving));
    rungs.news().map_or(Vec::new(), <[Serving]>::to_vec)
}

/// What a source offers for a class where all is well: only the reasons of those that would be better are worth a word.
fn best_of(source: Source, class: FailureClass) -> Rung {
    match source {
        Source::Ebpf if class == FailureClass::ServerErrors => Rung::CgroupSkb,
        Source::Ebpf => Rung::TpBtf,
        Source::ProcConnector => Rung::ProcConnector,
        Source::SockDiag => Rung::SockDiag,
        Source::Units => Rung::Systemd,
        Source::Pidfd => Rung::Pidfd,
        Source::Procfs => Rung::Procfs,
        Source::Logs => Rung::Log,
        Source::Store | Source::Engine => Rung::Heartbeat,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::sources::ebpf::{self, Missing, Program};

    fn word(class: FailureClass, rung: Rung, why: &str) -> Serving {
        Serving { class, rung, why: why.to_owned() }
    }

    /// These speak one after the other; tells each table that is another, as far as it is no heartbeat without a reason.
    fn check(said: &[(Source, &[Serving])], expected: Expect) {
        let mut rungs = Rungs::default();
        let mut text = String::new();
        for (source, words) in said {
            rungs.hear(*source, words);
            let Some(table) = rungs.news() else {
                text += "no news\n";
                continue;
            };
            assert_eq!(table.iter().map(|it| it.class).collect::<Vec<_>>(), FailureClass::ALL);
            for Serving { class, rung, why } in table.iter().filter(|it| it.rung != Rung::Heartbeat) {
                text += &format!("{class} {rung} {why}\n");
            }
            let left = table.iter().filter(|it| it.rung == Rung::Heartbeat && !it.why.is_empty());
            left.for_each(|it| text += &format!("{} heartbeat {}\n", it.class, it.why));
            text += "\n";
        }
        expected.assert_eq(&text);
    }

    #[test]
    fn the_best_rung_wins_and_says_nothing_of_worse_ones() {
        use FailureClass::{Exit, Zombie};
        check(
            &[
                (Source::Pidfd, &[word(Exit, Rung::Procfs, "no pidfd_open")]),
                (Source::Units, &[word(Exit, Rung::Systemd, "")]),
                (Source::Ebpf, &[word(Exit, Rung::TpBtf, ""), word(Zombie, Rung::TpBtf, "")]),
            ],
            expect![[r#"
                exit procfs no pidfd_open

                exit systemd 

                exit tp_btf 
                zombie tp_btf 

            "#]],
        );
    }

    #[test]
    fn what_is_better_and_does_not_serve_says_why() {
        use FailureClass::Exit;
        check(
            &[
                (Source::Units, &[word(Exit, Rung::Systemd, "")]),
                (Source::ProcConnector, &[word(Exit, Rung::Heartbeat, "not the first network namespace")]),
                (Source::Ebpf, &[word(Exit, Rung::Heartbeat, "not permitted")]),
                (Source::Ebpf, &[word(Exit, Rung::Tracepoint, "no types")]),
            ],
            expect![[r#"
                exit systemd 

                exit systemd not the first network namespace

                exit systemd not permitted; not the first network namespace

                exit tracepoint no types

            "#]],
        );
    }

    #[test]
    fn a_word_on_one_class_leaves_the_others_of_its_source_alone() {
        use FailureClass::{Exit, OomKill, ServerErrors};
        check(
            &[
                (Source::Ebpf, &[word(Exit, Rung::TpBtf, "")]),
                (Source::Ebpf, &[word(OomKill, Rung::TpBtf, ""), word(ServerErrors, Rung::CgroupSkb, "")]),
                (Source::Ebpf, &[word(Exit, Rung::TpBtf, "")]),
                (Source::Ebpf, &[word(Exit, Rung::Heartbeat, "they are lost")]),
            ],
            expect![[r#"
                exit tp_btf 

                exit tp_btf 
                oom_kill tp_btf 
                server_errors cgroup_skb 

                no news
                oom_kill tp_btf 
                server_errors cgroup_skb 
                exit heartbeat they are lost

            "#]],
        );
    }

    #[test]
    fn before_anyone_speaks_there_is_no_table() {
        let mut rungs = Rungs::default();
        assert_eq!(rungs.news(), None);
    }

    /// What every other source offers, where nothing hinders it but what a host of systemd's own has: no first namespaces.
    fn others(rungs: &mut Rungs) {
        use FailureClass::{AcceptStall, AnswerStall, Exit, ListenerLost, OomKill, Zombie};
        let elsewhere = [Exit, Zombie].map(|class| word(class, Rung::Heartbeat, "another PID namespace"));
        rungs.hear(Source::ProcConnector, &elsewhere);
        let sockets = [ListenerLost, AcceptStall, AnswerStall].map(|class| word(class, Rung::SockDiag, ""));
        rungs.hear(Source::SockDiag, &sockets);
        rungs.hear(Source::Units, &[word(Exit, Rung::Systemd, "")]);
        rungs.hear(Source::Pidfd, &[Exit, Zombie].map(|class| word(class, Rung::Pidfd, "")));
        rungs.hear(Source::Procfs, &[word(OomKill, Rung::Procfs, "")]);
    }

    /// The matrix: each class, with every probe, without each one alone, and without any.
    #[test]
    fn f1_every_class_is_served_by_the_next_rung_where_a_probe_is_missing() {
        let missing = |program| Missing { program, why: "not here".to_owned(), classic: false };
        let mut columns = vec![("all".to_owned(), ebpf::serving(&[]))];
        for program in Program::ALL {
            columns.push((format!("-{program:?}").to_lowercase(), ebpf::serving(&[missing(program)])));
        }
        let stands_in = |program| matches!(program, Program::Exit | Program::Signal | Program::State);
        let classic = Program::ALL.map(|program| Missing { classic: stands_in(program), ..missing(program) });
        columns.push(("no types".to_owned(), ebpf::serving(&classic)));
        columns.push(("no bpf".to_owned(), ebpf::serving_nothing("bpf() is not permitted")));
        let mut text = format!("{:<14}", "");
        columns.iter().for_each(|(name, _)| text += &format!("{name:<12}"));
        for (at, class) in FailureClass::ALL.into_iter().enumerate() {
            text += &format!("\n{class:<14}", class = class.name());
            for (_, words) in &columns {
                let mut rungs = Rungs::default();
                rungs.hear(Source::Ebpf, words);
                others(&mut rungs);
                let row = &rungs.news().unwrap()[at];
                text += &format!("{:<12}", row.rung.name());
            }
        }
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        eprintln!("{}", lines.join("\n"));
        expect![[r#"
                          all         -exit       -signal     -oom        -command    -state      -seed       -egress     no types    no bpf
            exit          tp_btf      systemd     tp_btf      tp_btf      tp_btf      tp_btf      tp_btf      tp_btf      tracepoint  systemd
            sender        tp_btf      tp_btf      heartbeat   tp_btf      tp_btf      tp_btf      tp_btf      tp_btf      tracepoint  heartbeat
            stop_request  tp_btf      tp_btf      tp_btf      tp_btf      heartbeat   tp_btf      tp_btf      tp_btf      heartbeat   heartbeat
            oom_kill      tp_btf      tp_btf      tp_btf      procfs      tp_btf      tp_btf      tp_btf      tp_btf      procfs      procfs
            zombie        tp_btf      pidfd       tp_btf      tp_btf      tp_btf      tp_btf      tp_btf      tp_btf      tracepoint  pidfd
            stopped       tp_btf      tp_btf      heartbeat   tp_btf      tp_btf      tp_btf      tp_btf      tp_btf      tracepoint  heartbeat
            listener_lost tp_btf      tp_btf      tp_btf      tp_btf      tp_btf      sock_diag   sock_diag   tp_btf      tracepoint  sock_diag
            accept_stall  tp_btf      tp_btf      tp_btf      tp_btf      tp_btf      sock_diag   sock_diag   tp_btf      sock_diag   sock_diag
            answer_stall  tp_btf      tp_btf      tp_btf      tp_btf      tp_btf      sock_diag   tp_btf      tp_btf      sock_diag   sock_diag
            server_errors cgroup_skb  cgroup_skb  cgroup_skb  cgroup_skb  cgroup_skb  heartbeat   cgroup_skb  heartbeat   heartbeat   heartbeat
        "#]].assert_eq(&(lines.join("\n") + "\n"));
    }
}
