mod answers;
mod certificates;
mod preparation;
mod server;
mod silence;

use std::{future::pending, time::Duration};

use anyhow::Context;
use expect_test::{Expect, expect};
use futures_util::future::join_all;
use regex::bytes::Regex;
use tokio::{runtime, time::timeout};

use self::server::{
    By, Identity, Running, Server,
    Step::{self, Bytes, CloseNotify, Drip, Flood, Hang, Hear, HoldTheLoop, Read, Repeat, Reset, Say},
    good, says, start,
};
use super::*;
use crate::model::{OrderId, Service, Verdict};

/// One heartbeat against one server.
struct Case {
    name: &'static str,
    server: Server,
    settings: Settings,
    program: Option<Ran>,
    show_request: bool,
}

/// Runs all cases at once, on one thread, and says how each ended. Every server must see its connection closed.
fn check(cases: Vec<Case>, expected: Expect) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cases = cases.into_iter().enumerate().map(|(number, case)| {
        let name = case.name;
        let folder = folder.path();
        async move { run(case, folder, number).await.with_context(|| name.to_owned()).unwrap() }
    });
    expected.assert_eq(&runtime.block_on(join_all(cases)).concat());
}

async fn run(mut case: Case, folder: &std::path::Path, number: usize) -> anyhow::Result<String> {
    let Running { spot, ca, task, .. } = &mut start(case.server, folder, number).await?;
    if case.settings.tls.ca.is_none() {
        case.settings.tls.ca = ca.take();
    }
    let heart = Heart::new(&case.settings, &mut Profiles::default())?;
    let order = Ask { id: OrderId(7), service: Service::new("site"), heartbeat: 0, incident: None };
    let program = case.program;
    let asking = heart.ask(&order, spot, |_| async {
        match program {
            Some(ran) => ran,
            None => pending().await,
        }
    });
    let mut answer = can_be_spawned(asking).await;
    if let End::Own(OwnFault::Lateness(by)) = &mut answer.end {
        *by = Duration::from_secs(9); // whatever it was
    }
    if let End::Own(OwnFault::Name(why)) = &mut answer.end {
        *why = "…".into(); // the resolver's words
    }
    let mut text = format!("{}: {} in {}: {answer}\n", case.name, spoken(answer.verdict), answer.phase);
    if let Some(task) = task {
        let heard = timeout(Duration::from_secs(20), task).await.context("the connection stays open")?;
        if case.show_request {
            heard??.lines().filter(|line| !line.is_empty()).for_each(|line| text += &format!("    {line}\n"));
        }
    }
    Ok(text)
}

fn can_be_spawned<F: Future + Send>(future: F) -> F {
    future
}

fn spoken(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Alive => "alive",
        Verdict::Dead => "dead",
        Verdict::Unknown => "unknown",
    }
}

/// `http://heartbeat.example.com/`, status 200 to 499, any body, so long that the deadline plays no part.
fn http(name: &'static str, server: Server) -> Case {
    let settings = Settings {
        target: Target::Http {
            secure: matches!(server, Server::Tls(..)),
            host: "heartbeat.example.com".into(),
            port: 80,
            path: "/".into(),
        },
        connect: Connect::Own,
        status: vec![200..=499],
        body: None,
        timeout: Duration::from_secs(20),
        method: "GET".into(),
        headers: Vec::new(),
        basic_auth: None,
        tls: Tls { verify: true, ca: None, expires_within: Duration::ZERO },
    };
    Case { name, server, settings, program: None, show_request: false }
}

fn tcp(name: &'static str, steps: Vec<Step>) -> Case {
    http(name, Server::Tcp(steps))
}

fn tls(name: &'static str, identity: Identity, steps: Vec<Step>) -> Case {
    http(name, Server::Tls(identity, steps))
}

impl Case {
    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Case {
        change(&mut self.settings);
        self
    }

    fn body(self, text: &str) -> Case {
        self.with(|settings| settings.body = Some(Body::Literal(text.into())))
    }

    fn pattern(self, pattern: &str) -> Case {
        self.with(|settings| settings.body = Some(Body::Pattern(Regex::new(pattern).unwrap())))
    }

    fn within(self, millis: u64) -> Case {
        self.with(|settings| settings.timeout = Duration::from_millis(millis))
    }

    fn secure(self) -> Case {
        self.with(|settings| {
            settings.target = Target::Http {
                secure: true,
                host: "heartbeat.example.com".into(),
                port: 443,
                path: "/".into(),
            };
            settings.tls.verify = false;
        })
    }

    fn target(self, target: Target) -> Case {
        self.with(|settings| settings.target = target)
    }

    fn program(mut self, ran: Option<Ran>) -> Case {
        self.program = ran;
        self.target(Target::Exec { argv: vec!["/usr/lib/check".into(), "--fast".into()], user: None })
    }

    fn show_request(mut self) -> Case {
        self.show_request = true;
        self
    }
}

const GOOD: Identity = Identity { names: &["heartbeat.example.com"], last_year: 2100, issuer: By::Known };
