//! watchdog's edges towards systemd, driven by lines on standard input; each thing that comes is a line of JSON, in order.
//!
//! Arguments: the private socket, then the units to watch. `read UNIT` · `learn UNIT` (reads it, and holds its cgroup) · `restart UNIT` ·
//! `start UNIT` · `kill UNIT` · `cancel UNIT JOB` (for the incarnation that was learnt last) · `run MS ARGV…` · `holders UNIT PORT` ·
//! `race UNIT TRIES` (our restart against an operator's stop) · `ask UNIT TRIES` (reads, while an operator stops it).
#![allow(clippy::print_stdout, reason = "it answers there")]

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::mpsc,
};
use watchdog::{
    actuator::Actuator,
    look::{self, Sought},
    model::{Act, Action, IncidentId, Job, JobStep, OrderId, Place, Saw, Service, Sign, Unit, UnitState},
    sources::{sock_diag::SockDiag, units::Units},
    systemd::{self, Connection, Program, Ran, Sockets, Way},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let private = arguments.next().context("which private socket?")?.into();
    let watched = arguments.map(|name| name.parse()).collect::<Result<Vec<Unit>, _>>()?;
    let (signs, heard) = mpsc::channel(1024);
    let (units, _task) = Units::start_at(Sockets { private, ..Sockets::default() }, watched, signs);
    let actuator = Actuator::new(units.link());
    let mut puppet = Puppet { units, heard, actuator, learnt: BTreeMap::new() };
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            biased;
            sign = puppet.heard.recv() => show(&sign.context("no more signs")?)?,
            line = lines.next_line() => {
                let Some(line) = line? else { return Ok(()) };
                let words: Vec<&str> = line.split(' ').collect();
                let said = match puppet.obey(&words).await {
                    Ok(said) => said,
                    Err(error) => json!({ "error": format!("{error:#}") }),
                };
                // Whatever came before the answer comes out before it.
                while let Ok(sign) = puppet.heard.try_recv() {
                    show(&sign)?;
                }
                println!("{}", json!({ "said": said }));
            }
        }
    }
}

fn show(sign: &Sign) -> Result<()> {
    println!("{}", json!({ "sign": serde_json::to_value(sign)? }));
    Ok(())
}

struct Puppet {
    units: Units,
    heard: mpsc::Receiver<Sign>,
    actuator: Actuator,
    learnt: BTreeMap<Unit, UnitState>,
}

impl Puppet {
    async fn obey(&mut self, words: &[&str]) -> Result<Value> {
        let [verb, unit, more @ ..] = words else { bail!("VERB UNIT …") };
        if *verb == "run" {
            return self.run(Duration::from_millis(unit.parse()?), more).await;
        }
        let unit: Unit = unit.parse()?;
        match (*verb, more) {
            ("read", []) => Ok(json!(self.units.read(&unit).await?)),
            ("learn", []) => {
                let state = self.units.read(&unit).await?;
                self.actuator.learn(&state);
                self.learnt.insert(unit, state.clone());
                Ok(json!(state))
            }
            ("restart", []) => self.act(unit, Action::Restart { reset: false }).await,
            ("start", []) => self.act(unit, Action::Start { reset: true }).await,
            ("kill", []) => self.act(unit, Action::Kill).await,
            ("cancel", [job]) => self.act(unit, Action::Cancel { job: job.parse()? }).await,
            ("holders", [port]) => self.holders(&unit, port.parse()?).await,
            ("race", [tries]) => self.race(&unit, tries.parse()?).await,
            ("ask", [tries]) => self.ask(&unit, tries.parse()?).await,
            _ => bail!("no such line"),
        }
    }

    async fn act(&self, unit: Unit, action: Action) -> Result<Value> {
        let incarnation = self.learnt.get(&unit).and_then(|state| state.incarnation);
        let incident = IncidentId { run: 0, number: 1 };
        let act = Act { id: OrderId(1), service: Service::new("s"), unit, incarnation, incident, action };
        Ok(json!(self.actuator.carry_out(act).await.result))
    }

    async fn run(&self, limit: Duration, argv: &[&str]) -> Result<Value> {
        let connection = self.units.link().connection("a program").await?;
        let argv: Vec<String> = argv.iter().map(ToString::to_string).collect();
        Ok(
            match systemd::run_transient(&connection, &Program { argv: &argv, ..Program::default() }, limit)
                .await
            {
                Ok(Ran::Ended(cause)) => json!(cause),
                Ok(Ran::Late) => json!("late"),
                Err(error) => json!(error.to_string()),
            },
        )
    }

    async fn holders(&self, unit: &Unit, port: u16) -> Result<Value> {
        let state = self.units.read(unit).await?;
        let listeners = SockDiag::open()?.listeners()?;
        let places = vec![Place::Tcp(([0, 0, 0, 0], port).into())];
        let sought = Sought { places, ..Sought::default() };
        Ok(json!(look::holders(&state, &sought, &listeners)?))
    }

    /// Our restart and an operator's stop, from 0 to 1 ms apart: how often the unit was up in the end.
    async fn race(&mut self, unit: &Unit, tries: u64) -> Result<Value> {
        let ours = self.units.link().connection("a race").await?;
        let operator = operator().await?;
        let mut up = 0;
        for try_ in 0..tries {
            self.start(&ours, unit).await?;
            let later = Duration::from_micros(try_ * 37 % 1000);
            let stop = async {
                tokio::time::sleep(later).await;
                operator.stop(unit).await
            };
            let (_, stopped) = tokio::join!(ours.try_restart(unit), stop);
            stopped.context("the operator's stop")?;
            up += u32::from(self.settled(unit).await?.active.is_up());
        }
        Ok(json!({ "up": up }))
    }

    /// Reads without a pause while an operator stops the unit: whoever reads that it ends has heard of the stop before.
    async fn ask(&mut self, unit: &Unit, tries: u64) -> Result<Value> {
        let ours = self.units.link().connection("a race").await?;
        let operator = operator().await?;
        let mut unheard = 0;
        for _ in 0..tries {
            self.start(&ours, unit).await?;
            while self.heard.try_recv().is_ok() {}
            let stop = operator.stop(unit);
            let mut heard = false;
            let asking = async {
                loop {
                    let state = self.units.read(unit).await?;
                    while let Ok(sign) = self.heard.try_recv() {
                        heard |= matches!(&sign.saw, Saw::Job(Job { step: JobStep::New(_), .. }));
                    }
                    if !state.active.is_up() {
                        unheard += u32::from(!heard && state.job.is_none());
                        return Ok::<_, anyhow::Error>(());
                    }
                }
            };
            let (stopped, asked) = tokio::join!(stop, asking);
            stopped.context("the operator's stop")?;
            asked?;
            self.settled(unit).await?;
        }
        Ok(json!({ "unheard": unheard }))
    }

    async fn start(&mut self, connection: &Connection, unit: &Unit) -> Result<()> {
        connection.reset_failed(unit).await?;
        connection.start(unit).await?;
        ensure!(self.settled(unit).await?.active.is_up(), "{unit} does not start");
        Ok(())
    }

    /// The unit, once no job is on it and it is up or down.
    async fn settled(&mut self, unit: &Unit) -> Result<UnitState> {
        loop {
            let state = self.units.read(unit).await?;
            while self.heard.try_recv().is_ok() {}
            if state.job.is_none() && (state.active.is_up() || state.active.is_down()) {
                return Ok(state);
            }
        }
    }
}

/// A connection of another, as systemctl opens one.
async fn operator() -> Result<Connection> {
    let opened = systemd::open(&Sockets::default(), &[Way::Private]).await?;
    let connection = opened.connection.clone();
    tokio::spawn(opened.drain());
    Ok(connection)
}
