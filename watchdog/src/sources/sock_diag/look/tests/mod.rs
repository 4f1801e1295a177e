//! Scripts of readings. A line is `TIME READING`, in milliseconds; the table stays as it is until the next line, and is looked
//! at whenever that is due. `listen PORT#COOKIE[=QUEUE][@CGROUP] …` is all listeners. `client #COOKIE WORDS` is a connection to
//! port 80 from then on: `waits` (in the queue), `ours`, `in=TIME:BYTES`, `out=TIME:BYTES`, `unread`, `stuck`; `gone #COOKIE`.

mod answers;
mod listeners;

use std::fmt::Write as _;

use expect_test::Expect;

use super::*;

struct World {
    looks: Looks,
    now: Mono,
    listeners: Vec<Open>,
    clients: BTreeMap<u64, (Client, Mono, Mono)>,
    walks: u32,
    log: String,
}

fn ms(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

const OURS: u16 = 1;

/// `accept_after` is 300 ms, `answer_after` 1 s; cgroup 7 is watched, and port 80. Plays on until `end`.
fn check(end: u64, script: &str, expected: Expect) {
    let mut world = World {
        looks: Looks::default(),
        now: Mono(0),
        listeners: vec![],
        clients: BTreeMap::new(),
        walks: 0,
        log: String::new(),
    };
    let settings =
        WatchedPort { accept_after: Duration::from_millis(300), answer_after: Duration::from_secs(1) };
    let watch = Watch {
        answers: Default::default(),
        cgroups: [(CgroupId(7), vec![])].into(),
        ports: [(Port(80), settings)].into(),
        ..Watch::default()
    };
    world.looks.watch(Mono(0), &watch);
    for line in script.lines().map(str::trim) {
        let (time, words) = line.split_once(' ').unwrap();
        world.play_until(ms(time.parse().unwrap()));
        world.change(words);
    }
    world.play_until(ms(end));
    expected.assert_eq(&world.log);
}

impl World {
    fn play_until(&mut self, end: Mono) {
        while let Some(at) = self.looks.due().map(|at| at.max(self.now)).filter(|at| *at < end) {
            self.now = at;
            self.look();
            assert!(self.looks.due().is_some_and(|due| due > at), "due at once again at {at}");
        }
        self.now = end;
    }

    fn look(&mut self) {
        let mut saw = self.looks.listeners(self.now, &self.listeners);
        let ports = self.looks.to_walk(self.now);
        if !ports.is_empty() {
            self.walks += 1;
            let clients: Vec<Client> = self
                .clients
                .values()
                .map(|(client, received, sent)| Client {
                    received_ago: self.now.since(*received),
                    sent_ago: self.now.since(*sent),
                    ..client.clone()
                })
                .collect();
            saw.extend(self.looks.connections(self.now, &ports, &clients, |peer| peer.port() == OURS));
        }
        for saw in saw {
            let said = match saw {
                Saw::ListenerUp(port) => format!("{port} is up"),
                Saw::ListenerDown { port, left } => format!("{port} lost one, {left} left"),
                Saw::AcceptStall(it) => format!("{} {:?} in the queue of {}", it.waiting, it.age, it.port),
                Saw::AnswerStall(it) => {
                    format!("{} {:?} without an answer of {}", it.waiting, it.age, it.port)
                }
                Saw::StallOver(port) => format!("{port} moves"),
                Saw::InUse(port) => format!("{port} is used"),
                Saw::Exit(_)
                | Saw::SignalSent(_)
                | Saw::OomKill(_)
                | Saw::ServerErrors(_)
                | Saw::LogErrors(_)
                | Saw::UnixStall(_)
                | Saw::CommandRun(_)
                | Saw::Serving(_)
                | Saw::Unit(_)
                | Saw::Job(_)
                | Saw::Listeners(_)
                | Saw::Loss(_)
                | Saw::Working { .. } => panic!("no table shows {saw:?}"),
            };
            let _ = writeln!(self.log, "{:?} {said}", self.now.since(Mono(0)));
        }
    }

    fn change(&mut self, words: &str) {
        let words: Vec<&str> = words.split(' ').collect();
        match words.as_slice() {
            ["listen", all @ ..] => self.listeners = all.iter().map(|text| open(text)).collect(),
            ["gone", cookie] => {
                self.clients.remove(&cookie[1..].parse().unwrap());
            }
            ["client", cookie, words @ ..] => {
                let cookie = cookie[1..].parse().unwrap();
                let began = self.clients.get(&cookie).map_or(self.now, |(_, _, sent)| *sent);
                let mut client = Client {
                    cookie,
                    port: Port(80),
                    peer: "127.0.0.1:5000".parse().unwrap(),
                    accepted: true,
                    unread: 0,
                    not_taken: 0,
                    received: 0,
                    sent: 0,
                    received_ago: Duration::ZERO,
                    sent_ago: Duration::ZERO,
                };
                let (mut received, mut sent) = (began, began);
                for word in words {
                    let bytes = |text: &str| {
                        let (at, bytes) = text.split_once(':').unwrap();
                        (ms(at.parse().unwrap()), bytes.parse().unwrap())
                    };
                    if let Some(text) = word.strip_prefix("in=") {
                        (received, client.received) = bytes(text);
                    } else if let Some(text) = word.strip_prefix("out=") {
                        (sent, client.sent) = bytes(text);
                    } else {
                        match *word {
                            "waits" => client.accepted = false,
                            "ours" => client.peer.set_port(OURS),
                            "unread" => client.unread = 10,
                            "stuck" => client.not_taken = 10,
                            other => panic!("{other}"),
                        }
                    }
                }
                self.clients.insert(cookie, (client, received, sent));
            }
            other => panic!("{other:?}"),
        }
    }
}

fn open(text: &str) -> Open {
    let (text, cgroup) = text.split_once('@').map_or((text, None), |(text, it)| (text, it.parse().ok()));
    let (text, queue) = text.split_once('=').unwrap_or((text, "0"));
    let (port, cookie) = text.split_once('#').unwrap();
    Open {
        cookie: cookie.parse().unwrap(),
        port: Port(port.parse().unwrap()),
        cgroup: cgroup.map(CgroupId),
        queue: queue.parse().unwrap(),
    }
}

#[test]
fn a_quiet_port_costs_a_look_each_accept_after_and_a_walk_each_answer_after() {
    let mut looks = Looks::default();
    let settings =
        WatchedPort { accept_after: Duration::from_millis(50), answer_after: Duration::from_millis(1_000) };
    looks.watch(Mono(0), &Watch { ports: [(Port(80), settings)].into(), ..Watch::default() });
    let (mut seen, mut walked) = (0, 0);
    while let Some(at) = looks.due().filter(|at| *at < ms(10_000)) {
        seen += 1;
        looks.listeners(at, &[open("80#1")]);
        let ports = looks.to_walk(at);
        walked += ports.len();
        looks.connections(at, &ports, &[], |_| false);
    }
    assert_eq!((seen, walked), (40, 10));
    looks.watch(ms(10_000), &Watch::default());
    assert_eq!(looks.due(), None);
}
