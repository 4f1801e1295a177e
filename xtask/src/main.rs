//! Tasks of the project, one file each: `cargo xtask --help` lists them.
#![allow(clippy::print_stdout, reason = "a task of the command line prints its result")]

mod bench;
mod build_ebpf;
mod ci;
mod demo;
mod dist;
mod imports;
mod lab;
mod play;
mod sim;
mod soak;
mod steps;
mod test;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "watchdog's own tasks")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// How soon and how cheap, against what was promised
    Bench(bench::Bench),
    /// The probes: builds the object for the kernel that the program embeds
    BuildEbpf(build_ebpf::BuildEbpf),
    /// The gate: all that must hold before a change is taken
    Ci(ci::Ci),
    /// Watchdog at work: boots a host with real servers, does them harm, and shows what comes of it
    Demo(demo::Demo),
    /// The packages for Debian and for RPM
    Dist(dist::Dist),
    /// A throw-away host: systemd as PID 1 in private namespaces, with real servers
    #[command(subcommand)]
    Lab(lab::Lab),
    /// The terminal session of the README: plays it on a throw-away host, and compares
    Session(play::Session),
    /// Simulated hosts on which everything goes wrong: invariants after each step of the engine
    Sim(sim::Sim),
    /// Real failures of a real server, one after the other: none missed, none doubled, nothing grows
    Soak(soak::Soak),
    /// Every test; installs what is missing, builds the lab's root file system, needs root
    Test(test::Test),
    /// A stock kernel of Debian 12, emulated: the stories with limits of memory, processes and CPU, and the probes' own tests
    Vm(vm::Vm),
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|first| first == ::lab::keeper::SUBCOMMAND).is_some() {
        return ::lab::keeper::main(arguments);
    }
    let done = match Arguments::parse().task {
        Task::Bench(bench) => bench.run(),
        Task::BuildEbpf(build) => build.run(),
        Task::Ci(ci) => ci.run(),
        Task::Demo(demo) => demo.run(),
        Task::Dist(dist) => dist.run(),
        Task::Lab(lab) => lab.run(),
        Task::Session(session) => session.run(),
        Task::Sim(sim) => sim.run(),
        Task::Soak(soak) => soak.run(),
        Task::Test(test) => test.run(),
        Task::Vm(vm) => vm.run(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
