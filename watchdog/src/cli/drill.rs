use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    ops::ControlFlow,
};

use serde::Serialize;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use super::{Exit, ask::There, ask::failed, ask::no, complain, injure};
use crate::{
    clock,
    control::{self, DRILL, Report, STATUS},
    explain,
    model::{Injury, ServiceStatus, Status},
    stream,
};

/// `watchdog drill`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  watchdog drill web --kill
  watchdog drill nginx.service --stop --yes --json

The fault is real: clients of the service notice it. It is refused while the service is paused, in quarantine, not well or not
active, with no restart left in a budget, and in mode = \"observe\". Where the service does not come back in time, processes
that were stopped go on; the same holds where the drill is interrupted.

Exit code: 0 it recovered, 75 it was refused or did not recover, 64 no such service.")]
pub(super) struct Drill {
    /// Its name, or its unit
    #[arg(value_name = "SERVICE")]
    service: String,
    /// Its main process dies (SIGKILL) [default]
    #[arg(long, group = "fault")]
    kill: bool,
    /// All its processes stop (SIGSTOP): nothing is accepted any more
    #[arg(long, group = "fault")]
    stop: bool,
    /// All but its main process stop (SIGSTOP), or that where it is the only one: it looks alive and does not answer
    #[arg(long, group = "fault")]
    hang: bool,
    /// Do it without asking first
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    there: There,
}

/// The polite ways to end this program, which must not end it in the middle.
struct Ends([Signal; 4]);

impl Ends {
    fn new() -> io::Result<Ends> {
        Ok(Ends([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::quit())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?, // its terminal is gone
        ]))
    }

    /// One of them has come.
    async fn come(&mut self) {
        let [interrupt, quit, terminate, hang_up] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    }
}

#[derive(Debug, Serialize)]
struct Body<'a> {
    services: [&'a str; 1],
    fault: Injury,
}

impl Drill {
    pub(super) fn main(self) -> Exit {
        self.run().unwrap_or_else(|exit| exit)
    }

    fn fault(&self) -> Injury {
        match (self.stop, self.hang) {
            (true, _) => Injury::Stop,
            (false, true) => Injury::Hang,
            (false, false) => Injury::Kill,
        }
    }

    fn run(&self) -> Result<Exit, Exit> {
        if !rustix::process::geteuid().is_root() {
            return Err(failed(
                "not root: a drill does harm to a service; try `sudo watchdog drill`",
                Exit::NoPermission,
            ));
        }
        let status: Status = self.there.get(STATUS)?;
        let chosen = control::choose(std::slice::from_ref(&self.service), &status.services);
        let chosen = match chosen {
            Ok(chosen) => chosen,
            Err(control::Unknown { asked, help }) => {
                return Err(failed(
                    format_args!("there is no service, unit or group {asked:?}: {help}"),
                    Exit::Usage,
                ));
            }
        };
        let [at] = chosen.as_slice() else {
            return Err(failed("a drill is of one service: name one", Exit::Usage));
        };
        let target = &status.services[*at];
        let loaded = self.there.configuration()?;
        let Some(guard) = loaded.settings.policy.services.get(&target.service) else {
            let why = "it is not in the configuration any more: `watchdog reload` first";
            return Err(failed(why, Exit::NotDone));
        };
        let within = loaded.settings.policy.host.record;
        self.confirm(target)?;

        let socket = self.there.socket()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|fault| failed(fault, Exit::System))?;
        // first of all: nothing of what follows may be missed
        let onlooker = runtime.block_on(control::look_on(&socket)).map_err(no)?;
        let body = Body { services: [target.service.as_str()], fault: self.fault() };
        let report: Report = self.there.post(DRILL, &body)?;
        if let Some(refused) = report.services.iter().find(|it| !it.done) {
            return Err(failed(format_args!("{}: {}", refused.service, refused.said), Exit::NotDone));
        }
        // before anything is stopped: whoever ends this must not leave a service frozen
        let mut ends =
            runtime.block_on(async { Ends::new() }).map_err(|fault| failed(fault, Exit::System))?;
        let began = clock::now();
        let hurt = runtime.block_on(async {
            tokio::select! {
                biased;
                () = ends.come() => Err(failed("interrupted: nothing was done", Exit::NotDone)),
                hurt = injure::injure(&target.unit, self.fault()) => hurt.map_err(|fault| failed(fault, Exit::NotDone)),
            }
        })?;
        if !self.there.json {
            writeln!(io::stderr(), "{}; waiting for its recovery", hurt.said).ok();
        }
        let mut watcher = explain::Watcher::new(target.service.clone(), self.fault(), began);
        let heard = async {
            let each = onlooker.each(|line| {
                if let Ok(line) = stream::read(line) {
                    watcher.hear(&line.record);
                }
                if watcher.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            tokio::select! {
                late = timeout(explain::patience(guard, within), each) => late.is_err().then_some("it took too long"),
                () = ends.come() => Some("interrupted"),
            }
        };
        let cut = runtime.block_on(heard);
        let drill = watcher.told(hurt.said.clone(), guard, within);
        let undone = hurt.undo();
        if !drill.recovered {
            complain(format_args!("{}: {undone}", cut.unwrap_or("the stream ended")));
        }
        self.there.say(&drill, || format!("{drill}\n"))?;
        Ok(if drill.recovered { Exit::Ok } else { Exit::NotDone })
    }

    fn confirm(&self, target: &ServiceStatus) -> Result<(), Exit> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err(failed("nobody can be asked here: say --yes if you mean it", Exit::Usage));
        }
        let what = match self.fault() {
            Injury::Kill => "kill the main process",
            Injury::Stop => "stop all processes",
            Injury::Hang => "stop the workers",
        };
        write!(
            io::stderr(),
            "{what} of {} (service {})? Its clients will notice. [y/N] ",
            target.unit,
            target.service
        )
        .ok();
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map_err(|fault| failed(fault, Exit::System))?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(failed("nothing was done", Exit::NotDone)),
        }
    }
}
