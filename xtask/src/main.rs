//! Tasks of the project, one file each: `cargo xtask --help` lists them.

mod lab_task;

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
    /// A throw-away host: systemd as PID 1 in private namespaces, with real servers
    #[command(subcommand)]
    Lab(lab_task::Lab),
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|first| first == lab::keeper::SUBCOMMAND).is_some() {
        return lab::keeper::main(arguments);
    }
    let done = match Arguments::parse().task {
        Task::Lab(lab) => lab.run(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
