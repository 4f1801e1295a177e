//! What the simulation reaches: an invariant that is never put to the test proves nothing.

use sim::Tally;

/// Everything that a run must have seen at least once.
const SEEN: [(&str, &[&str]); 9] = [
    (
        "hold",
        &[
            "backoff",
            "concurrency",
            "dependency",
            "disabled",
            "foreign job",
            "gate",
            "host budget",
            "observe",
            "pause",
            "port held",
            "preflight",
            "quarantine",
            "systemd",
            "twin",
            "unstartable",
        ],
    ),
    (
        "stage",
        &[
            "checking",
            "down",
            "ending",
            "holding",
            "not seen yet",
            "proving",
            "quarantined",
            "restarting",
            "stopped",
            "up",
            "waits for a client",
        ],
    ),
    ("incident", &["quarantined", "recovered", "stood down", "superseded"]),
    ("outcome", &["done", "no reply", "nothing", "queued", "refused"]),
    (
        "order",
        &[
            "ask",
            "cancel",
            "kill",
            "look at the unit",
            "look for holders",
            "restart",
            "start",
            "start afresh",
            "undo",
        ],
    ),
    ("decision", &["act", "act, observed only", "alert", "leave alone"]),
    ("crash", &["not requested", "not stored", "requested"]),
    ("operator", &["reload", "restart", "start", "stop"]),
    (
        "step",
        &[
            "answer alive",
            "answer dead",
            "answer unknown",
            "command",
            "fact",
            "outcome",
            "settings",
            "sign exit",
            "sign in use",
            "sign job",
            "sign listeners",
            "sign loss",
            "sign stall",
            "sign unit",
            "wake",
        ],
    ),
];

/// So many are simulated at least, and until all was seen at most: a hold for another's restart is rare.
const HOSTS: (u64, u64) = (200, 2_000);

#[test]
fn every_stage_hold_outcome_and_end_is_reached_and_no_invariant_breaks() {
    let mut tally = Tally::default();
    let all = || SEEN.iter().flat_map(|(kind, words)| words.iter().map(move |word| (*kind, *word)));
    let missed =
        |tally: &Tally| all().filter(|(kind, word)| tally.of(kind, word) == 0).collect::<Vec<(&str, &str)>>();
    for seed in 1..=HOSTS.1 {
        if seed > HOSTS.0 && missed(&tally).is_empty() {
            break;
        }
        if let Err(broken) = sim::episode(seed, None, &mut tally) {
            panic!("seed {seed}: {:?}\n{}", broken.violation, sim::log(seed, None, 100).join("\n"));
        }
    }
    let missed = missed(&tally);
    assert!(missed.is_empty(), "never reached: {missed:?}\n{tally}");
    assert!(tally.of("step", "wake") * 2 < tally.steps, "half of the steps are wakings\n{tally}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(sim::log(7, None, 100_000), sim::log(7, None, 100_000));
}
