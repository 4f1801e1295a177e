//! The stories that need what a lab lacks: limits of memory, processes and CPU, and the OOM killer. They are played on the
//! machine itself, one after the other, so this program refuses any but the guest of `cargo xtask vm`. Beside them stand some that
//! every kernel must carry, whatever its probes can do.
//!
//! Prints what Rust's own test runner prints: a line for each story, and one to close. Arguments: `--list`, or texts of
//! which the names of the stories hold one.
#![allow(clippy::print_stdout, reason = "it reports there")]

mod b15_memory;
mod b15_no_pids;
mod f6_gates;
mod f7_throttled;
mod g14_oom;
mod smoke;
mod stage;

use std::{
    fs,
    io::{Write, stdout},
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result, anyhow, ensure};
use stage::Stage;

type Story = fn(&Stage) -> Result<()>;

macro_rules! stories {
    ($($room:ident::$name:ident),* $(,)?) => { &[$((concat!(stringify!($room), "::", stringify!($name)), $room::$name)),*] };
}

const STORIES: &[(&str, Story)] = stories![
    b15_memory::b15_the_kernel_kills_others_first,
    b15_no_pids::b15_where_watchdog_may_not_fork_a_restart_still_works,
    b15_no_pids::b15_with_no_pids_left_beside_watchdog_a_restart_still_works,
    b15_no_pids::b15_started_with_too_few_tasks_it_says_so_and_starts_as_soon_as_there_is_room,
    f6_gates::f6_a_service_that_leaks_is_the_pressure_and_is_restarted,
    f6_gates::f6_memory_pressure_from_elsewhere_holds_a_restart_until_it_is_over,
    f6_gates::f6_with_no_tasks_left_nothing_is_started_until_there_are_some,
    f7_throttled::f7_a_service_that_is_throttled_is_not_restarted_and_one_that_hangs_so_is,
    g14_oom::g14_an_oom_kill_is_a_class_of_its_own,
    smoke::a1_a_death_is_followed_by_one_restart,
    smoke::a2_a_stopped_process_under_traffic_is_found,
    smoke::a2_requests_that_are_never_answered_are_found,
    smoke::c3_a_daemon_that_lives_without_its_port_is_restarted,
    smoke::d4_an_operators_stop_is_left_alone,
];

/// A word of the kernel's command line that no other machine has.
const GUEST: &str = "watchdog.vm";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(101),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(64)
        }
    }
}

fn run() -> Result<bool> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        STORIES.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(true);
    }
    let command_line = fs::read_to_string("/proc/cmdline").context("cannot read /proc/cmdline")?;
    ensure!(
        command_line.split_whitespace().any(|word| word == GUEST),
        "cannot play here: it would change this machine. `cargo xtask vm` boots one for it"
    );
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted =
        |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let wanted: Vec<&(&str, Story)> = STORIES.iter().filter(|(name, _)| is_wanted(name)).collect();
    println!("\nrunning {} tests", wanted.len());
    let mut failed = 0;
    for (name, story) in &wanted {
        print!("test {name} ... ");
        stdout().flush().context("cannot print")?;
        let began = Instant::now();
        let ended = play(*story);
        let word = if ended.is_ok() { "ok" } else { "FAILED" };
        println!("{word} <{:.1}s>", began.elapsed().as_secs_f64());
        if let Err(error) = ended {
            failed += 1;
            println!("{error:?}");
        }
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {word}. {} passed; {failed} failed; 0 ignored", wanted.len() - failed);
    Ok(failed == 0)
}

/// Plays a story, prints the evidence where it goes wrong, and clears away what it left.
fn play(story: Story) -> Result<()> {
    let stage = Stage::new()?;
    let ended = catch_unwind(AssertUnwindSafe(|| story(&stage)));
    let ended = ended.unwrap_or_else(|_said_above| Err(anyhow!("it panicked")));
    if ended.is_err() {
        println!("FAILED, and this is the evidence:");
        stage.evidence()?;
    }
    ended.and(stage.clear())
}
