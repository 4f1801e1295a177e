//! `cargo xtask sim`: simulates hosts until an invariant breaks, or until enough was seen.
#![allow(clippy::print_stdout, reason = "a program of the command line prints its result")]

use std::{
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use sim::{Broken, Size, Tally};

#[derive(Parser)]
#[command(name = "cargo xtask sim", about = "Simulated hosts on which everything goes wrong")]
struct Arguments {
    /// Steps of the engine, all jobs together; a host is always simulated to its end
    #[arg(long, default_value_t = 100_000_000)]
    steps: u64,
    /// The first host's seed; each further one has the next
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Ends after this, whatever was done by then
    #[arg(long)]
    seconds: Option<u64>,
    /// So many lines of the log are shown where an invariant broke
    #[arg(long, default_value_t = 200)]
    lines: usize,
    /// Threads; default: one for each CPU
    #[arg(long)]
    jobs: Option<usize>,
    /// Goes on after what broke, and lists the seeds of each invariant
    #[arg(long)]
    keep_going: bool,
    /// Instead of that: tries all that can happen in small worlds, in every order, up to so many states each
    #[arg(long, num_args = 0..=1, default_missing_value = "2000000", value_name = "STATES")]
    model: Option<usize>,
}

/// Services, and things that go wrong in each run.
const WORLDS: [(usize, u32); 4] = [(1, 1), (2, 1), (1, 2), (2, 2)];

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let began = Instant::now();
    if let Some(states) = arguments.model {
        return model(states, arguments.lines);
    }
    let (tally, mut broken) = simulate(&arguments, began);
    broken.sort_by_key(|broken| (broken.violation.invariant, broken.seed));
    let took = began.elapsed().as_secs_f64();
    println!("{tally}");
    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = tally.steps as f64 / took / 1000.0;
    println!("{took:.1} s, {rate:.0} thousand steps a second");
    if arguments.keep_going {
        for Broken { seed, step, violation } in &broken {
            println!("BROKEN: seed {seed}, step {step}: {}: {}", violation.invariant, violation.what);
        }
    }
    let Some(broken) = broken.into_iter().min_by_key(|broken| broken.seed) else {
        println!("no invariant broke");
        return ExitCode::SUCCESS;
    };
    if arguments.keep_going {
        return ExitCode::FAILURE;
    }
    for line in sim::log(broken.seed, None, arguments.lines) {
        println!("{line}");
    }
    println!("BROKEN: {}: {}", broken.violation.invariant, broken.violation.what);
    println!(
        "at step {} of seed {}; again: cargo xtask sim --seed {} --steps 1",
        broken.step, broken.seed, broken.seed
    );
    ExitCode::FAILURE
}

fn model(states: usize, lines: usize) -> ExitCode {
    for (services, faults) in WORLDS {
        let tried = sim::try_all(Size { services, faults, states }, None);
        println!("services {services}, faults {faults}: {tried}");
        let Some((violation, way)) = tried.broken else { continue };
        for line in &way[way.len().saturating_sub(lines)..] {
            println!("{line}");
        }
        println!("BROKEN: {}: {}", violation.invariant, violation.what);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn simulate(arguments: &Arguments, began: Instant) -> (Tally, Vec<Broken>) {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let jobs = if arguments.steps == 1 { 1 } else { arguments.jobs.unwrap_or(cpus).max(1) };
    let (next, steps, enough) = (AtomicU64::new(arguments.seed), AtomicU64::new(0), AtomicBool::new(false));
    let (all, found) = (Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    let work = || {
        let mut tally = Tally::default();
        while !enough.load(Ordering::Relaxed) {
            let (seed, before) = (next.fetch_add(1, Ordering::Relaxed), tally.steps);
            if let Err(broken) = sim::episode(seed, None, &mut tally) {
                enough.fetch_or(!arguments.keep_going, Ordering::Relaxed);
                found.lock().expect("no thread panics while it holds this").push(*broken);
            }
            let done = steps.fetch_add(tally.steps - before, Ordering::Relaxed) + tally.steps - before;
            let late = arguments.seconds.is_some_and(|most| began.elapsed() >= Duration::from_secs(most));
            if done >= arguments.steps || late {
                enough.store(true, Ordering::Relaxed);
            }
        }
        all.lock().expect("no thread panics while it holds this").add(&tally);
    };
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    let lost = "no thread panics while it holds this";
    (all.into_inner().expect(lost), found.into_inner().expect(lost))
}
