//! What the main process of each unit was seen to run: where systemd starts a script or a wrapper, another program serves in the
//! end. So it is looked at with each word on the unit, and with each heartbeat.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
};

use crate::{
    look,
    model::{Unit, UnitState},
};

/// So many are remembered of each unit: a release with a path of its own is another program each time.
const MOST: usize = 16;

/// Those seen last stand last.
#[derive(Debug, Default)]
pub(super) struct Programs(BTreeMap<Unit, VecDeque<PathBuf>>);

impl Programs {
    pub(super) fn learn(&mut self, state: &UnitState) {
        let Some(pid) = state.main_pid.filter(|_| state.active.is_up()) else { return };
        if let Some(program) = look::program(state.unit.as_str(), pid) {
            self.saw(&state.unit, program);
        }
    }

    /// What it runs by its own unit file too.
    pub(super) fn of(&self, unit: &Unit, state: Option<&UnitState>) -> BTreeSet<PathBuf> {
        let seen = self.0.get(unit).into_iter().flatten().cloned();
        seen.chain(state.and_then(|state| state.program.clone())).collect()
    }

    fn saw(&mut self, unit: &Unit, program: PathBuf) {
        let seen = self.0.entry(unit.clone()).or_default();
        seen.retain(|other| *other != program);
        seen.push_back(program);
        if seen.len() > MOST {
            seen.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e6_of_the_programs_of_a_unit_those_seen_last_are_remembered() {
        let unit: Unit = "web.service".parse().unwrap();
        let release = |number: usize| PathBuf::from(format!("/srv/{number}/web"));
        let mut programs = Programs::default();
        for number in 0..100 {
            programs.saw(&unit, release(0));
            programs.saw(&unit, release(number));
        }
        let seen = programs.of(&unit, None);
        let expected = std::iter::once(0).chain(100 - MOST + 1..100).map(release).collect();
        assert_eq!(seen, expected);
    }
}
