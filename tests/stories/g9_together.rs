//! Many services that hang at once are restarted one at a time, each verified before the next.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::stage::{QUICK, SOON, is_alert, is_restart, play, recovered, restarts, victim};

const NAMES: [(&str, u16); 3] = [("one", 7001), ("two", 7002), ("three", 7003)];

#[test]
fn g9_three_services_that_hang_at_once_are_restarted_one_by_one() -> Result<()> {
    play(|lab| {
        let mut configuration = String::new();
        for (name, port) in NAMES {
            lab.victim(name, port, "")?;
            configuration += &(victim(name, port) + "timeout = \"1s\"\n" + QUICK);
        }
        let watchdog = lab.guard(&configuration, &NAMES.map(|(name, _)| name))?;
        for (name, _) in NAMES {
            lab.kill_all(Signal::STOP, &format!("{name}.service"))?;
        }
        let mut spans = BTreeMap::new();
        for (name, _) in NAMES {
            let well = recovered(&watchdog, name, 1, SOON)?.mono_us();
            let asked = restarts(&watchdog, name);
            ensure!(asked.len() == 1, "{} restarts of {name}", asked.len());
            spans.insert(asked[0].mono_us(), (well, name));
        }
        let events = watchdog.events();
        let told = |event: &&lab::Event| NAMES.iter().any(|(name, _)| is_alert(event, name, "fail together"));
        let told = events.iter().find(told).context("nobody heard that they fail together")?.mono_us();
        // before the third has failed, two may have been on their way
        let order: Vec<_> = spans.iter().collect();
        let together = order.windows(2).filter(|pair| *pair[1].0 > told);
        for pair in together {
            let [(_, (well, first)), (asked, (_, second))] = pair else { continue };
            ensure!(well <= *asked, "{second} was restarted before {first} was well");
        }
        ensure!(order.last().is_some_and(|last| *last.0 > told), "all were restarted before it was told");
        ensure!(
            watchdog
                .events()
                .iter()
                .filter(|event| NAMES.iter().any(|(name, _)| is_restart(event, name)))
                .count()
                == 3
        );
        Ok(())
    })
}
