use super::{
    Exit,
    ask::{There, failed},
    check,
};
use crate::{
    config,
    control::{self, STATUS},
    explain,
    model::{Health, Status as Now},
};

/// `watchdog status`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Exit code, by the worst of these services:
  0   all are well
  1   of some nobody can say (yet)
  2   some are down and left alone: an operator's stop, a clean end, no such unit
  3   some are failing, and something is done about it or waits to be
  4   some are in quarantine: their restarts are used up
  64  a service that this watchdog does not know
  69  no watchdog runs, or it does not answer
  77  not allowed: only root and members of the group `watchdog` may ask")]
pub(super) struct Status {
    /// Only these services: names, units, groups, or patterns such as 'web*'
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    #[command(flatten)]
    there: There,
}

impl Status {
    pub(super) fn main(self) -> Exit {
        match self.look() {
            Ok(worst) => Exit::Health(worst),
            Err(exit) => exit,
        }
    }

    fn look(self) -> Result<Health, Exit> {
        let mut now: Now = self.there.get(STATUS)?;
        if !self.services.is_empty() {
            let chosen = control::choose(&self.services, &now.services);
            let chosen = chosen.map_err(|unknown| failed(unknown, Exit::Usage))?;
            now.services = chosen.into_iter().map(|at| now.services[at].clone()).collect();
        }
        let worst = now.services.iter().map(|it| it.health).max().unwrap_or(Health::Well);
        self.there.say(&now, || {
            explain::status(&now, check::columns(), config::wants_colour(&std::io::stdout()))
        })?;
        Ok(worst)
    }
}
