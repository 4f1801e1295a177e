//! Starvation told from hang, and overload from both.
//!
//! Progress means connections accepted or bytes sent, never CPU time: a spinning service is not starved. A stopped process
//! is not runnable, so it is not starved either.

use crate::model::{End, Evidence, Meaning, Verdict};

/// Less than this part of the window is no chance to answer.
const NO_CHANCE: u32 = 10;

/// What was seen of a unit while a heartbeat of it came to this end.
pub fn weigh(end: &End, evidence: &Evidence) -> Meaning {
    let Evidence { window, waited, throttled, ran, others, accepted, served, meaning: _ } = evidence;
    let half = |it: &Option<std::time::Duration>| it.is_some_and(|it| it >= *window / 2);
    let others_had_it = others.zip(*ran).is_some_and(|(others, ran)| others >= ran);
    let kept_from_running = (half(waited) && others_had_it) || half(throttled);
    let progressed = *accepted > 0 || *served > 0;
    let no_chance = ran.is_some_and(|ran| ran < *window / NO_CHANCE);
    if kept_from_running && (progressed || no_chance) {
        return Meaning::Starved;
    }
    // to end a service that serves others would make slow ones out of them: only silence proves a hang
    if matches!(end, End::Late(_)) && *served > 0 { Meaning::Overloaded } else { Meaning::Dead }
}

/// The verdict on a heartbeat that seemed dead.
pub fn excused(meaning: Meaning) -> Verdict {
    match meaning {
        Meaning::Dead => Verdict::Dead,
        Meaning::Starved | Meaning::Overloaded => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LATE: End = End::Late(Duration::from_secs(3));

    /// Milliseconds of a window of 1500: waited, throttled, ran, others.
    fn check(end: &End, figures: [u64; 4], accepted: u32, served: u32, meaning: Meaning) {
        let [waited, throttled, ran, others] = figures.map(|figure| Some(Duration::from_millis(figure)));
        let window = Duration::from_millis(1_500);
        let meaning_before = Meaning::Dead;
        let evidence =
            Evidence { window, waited, throttled, ran, others, accepted, served, meaning: meaning_before };
        assert_eq!(weigh(end, &evidence), meaning, "{evidence}");
    }

    #[test]
    fn f7_runnable_but_not_run_while_others_run_is_starved() {
        check(&LATE, [1_400, 0, 90, 2_900], 1, 0, Meaning::Starved); // it moves on
        check(&LATE, [1_400, 0, 90, 2_900], 0, 0, Meaning::Starved); // it had no chance to
        check(&LATE, [0, 1_200, 300, 0], 0, 1, Meaning::Starved); // CPUQuota=
        check(&End::Status(503), [1_400, 0, 90, 2_900], 1, 0, Meaning::Starved);
    }

    #[test]
    fn g2_what_runs_without_progress_or_does_not_want_to_run_is_dead() {
        check(&LATE, [1_400, 0, 800, 2_000], 0, 0, Meaning::Dead); // spins under load
        check(&LATE, [0, 0, 0, 2_900], 0, 0, Meaning::Dead); // stopped under load
        check(&LATE, [1_400, 0, 2_000, 100], 1, 0, Meaning::Dead); // its own threads have the CPU
        check(&End::Status(503), [0, 0, 200, 0], 3, 9, Meaning::Dead);
        check(&End::Refused, [0, 0, 0, 0], 0, 0, Meaning::Dead);
    }

    #[test]
    fn g1_slow_but_serving_others_is_overloaded_and_not_restarted() {
        check(&LATE, [0, 0, 1_400, 100], 5, 7, Meaning::Overloaded);
        check(&LATE, [0, 0, 1_400, 100], 5, 0, Meaning::Dead); // accepts and never answers
    }

    #[test]
    fn without_figures_nothing_is_excused() {
        let nothing = Evidence {
            window: Duration::from_millis(1_500),
            waited: None,
            throttled: None,
            ran: None,
            others: None,
            accepted: 0,
            served: 0,
            meaning: Meaning::Dead,
        };
        assert_eq!(weigh(&LATE, &nothing), Meaning::Dead);
        assert_eq!(excused(Meaning::Dead), Verdict::Dead);
        assert_eq!(
            (excused(Meaning::Starved), excused(Meaning::Overloaded)),
            (Verdict::Unknown, Verdict::Unknown)
        );
    }
}
