//! Arguments, exit codes, privileges, sd_notify.
//!
//! Invariant: a run that cannot begin says why and what to do on standard error, ends with a code of sysexits, and has
//! changed nothing. Deliberately absent: daemonising; systemd does that.

mod ask;
mod change;
mod check;
mod control;
mod deadly;
mod discover;
mod doctor;
mod drill;
mod events;
mod exit;
mod fix;
mod found;
mod import_monit;
mod injure;
mod ladder;
mod lock;
mod notify;
mod papers;
mod past;
mod probing;
mod reload;
mod replay;
mod run;
mod say;
mod schema;
mod status;
mod supervisor;
mod survey;
mod survival;
mod unconfigured;
mod why;
mod write;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::called::{self, called};
use exit::Exit;
use say::complain;

/// Keeps the services of this host answering: kernel events, an HTTP heartbeat, one restart through systemd.
#[derive(Debug, Parser)]
#[command(name = "watchdog", version, arg_required_else_help = true, after_help = STEPS)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What a newcomer does first, and what anybody wants at night.
const STEPS: &str = "First steps, as root:
  watchdog discover --output /etc/watchdog/watchdog.toml   what listens here, as a configuration
  watchdog check                                           what would be done about each failure, and what is in its way
  watchdog run --observe                                   decides and records, and does nothing

When something is wrong:
  watchdog status                                          who is not well, and what is done about it
  watchdog why SERVICE                                     what happened last, and why that was done
  watchdog pause SERVICE --for 1h                          hands off

`watchdog COMMAND --help` says more, and the exit codes. The configuration: watchdog.toml(5).";

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch the services of the configuration, until SIGTERM; SIGHUP reads the configuration again
    Run(run::Run),
    /// Say every fault of the configuration, and what will happen in each failure class
    Check(check::Check),
    /// Write a ready configuration for the units that listen on this host; acts on nothing
    Discover(discover::Discover),
    /// How every service is, by what means failures are seen, and what ticks; the exit code says the worst
    Status(status::Status),
    /// Hands off some services, for a time: they are watched, and nothing is done to them
    Pause(change::Pause),
    /// End a pause before its time
    Resume(change::Resume),
    /// Restart services through the policy, and wait until they answer
    Restart(change::Restart),
    /// Read the configuration again; with a fault the old one stays in force
    Reload(change::Reload),
    /// Tell what happened lately, also when no watchdog runs, and with --follow what happens now
    Events(events::Events),
    /// Tell the last incident of a service: what happened, the evidence, the rule, the action, the result
    Why(why::Why),
    /// Say by what means failures are seen on this host, what is missing for better ones, and what to do
    Doctor(doctor::Doctor),
    /// Turn configurations of monit into one of watchdog, and tell what became of each statement
    ImportMonit(import_monit::ImportMonit),
    /// Say who is told of what; --test sends each a test message, and says what became of it
    Notify(notify::Notify),
    /// Do harm to a service on purpose, and measure its recovery beside what is promised
    Drill(drill::Drill),
    /// Tell a recorded event stream to the policy again: does it decide the same, bit for bit?
    Replay(replay::Replay),
    /// Write man pages, completions and JSON Schemas, for those who make packages
    #[command(hide = true)]
    Papers(papers::Papers),
    /// Print the JSON Schema (2020-12) of the configuration, of the event stream, or of the status
    Schema(schema::Schema),
}

/// Where the configuration is.
#[derive(Debug, clap::Args)]
struct Where {
    /// A file, or a folder that holds watchdog.toml [default: /etc/watchdog]
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
}

/// Runs the command that the arguments name; the exit code is one of sysexits.
pub fn main() -> ExitCode {
    let mut command = command(called());
    let matches = command.try_get_matches_from_mut(std::env::args_os());
    let arguments = match matches.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked_for = !error.use_stderr();
            error.format(&mut command).print().ok();
            return if asked_for { Exit::Ok } else { Exit::Usage }.into();
        }
    };
    match arguments.command {
        Command::Run(run) => run.main(),
        Command::Check(check) => check.main(),
        Command::Discover(discover) => discover.main(),
        Command::Status(status) => status.main(),
        Command::Pause(pause) => pause.main(),
        Command::Resume(resume) => resume.main(),
        Command::Restart(restart) => restart.main(),
        Command::Reload(reload) => reload.main(),
        Command::Events(events) => events.main(),
        Command::Why(why) => why.main(),
        Command::Doctor(doctor) => doctor.main(),
        Command::ImportMonit(import) => import.main(),
        Command::Notify(notify) => notify.main(),
        Command::Drill(drill) => drill.main(),
        Command::Replay(replay) => replay.main(),
        Command::Papers(papers) => papers.main(),
        Command::Schema(schema) => schema.main(),
    }
    .into()
}

/// The arguments, whose help names commands by that name.
fn command(name: &str) -> clap::Command {
    by_name(Arguments::command(), name)
}

fn by_name(mut command: clap::Command, name: &str) -> clap::Command {
    let by = |text: &clap::builder::StyledStr| called::by(&text.to_string(), name).into_owned();
    if let Some(text) = command.get_about().map(by) {
        command = command.about(text);
    }
    if let Some(text) = command.get_after_help().map(by) {
        command = command.after_help(text);
    }
    if let Some(text) = command.get_after_long_help().map(by) {
        command = command.after_long_help(text);
    }
    command
        .mut_args(|argument| match argument.get_help().map(by) {
            Some(text) => argument.help(text),
            None => argument,
        })
        .mut_subcommands(|below| by_name(below, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_that_texts_may_name_are_those_that_there_are() {
        let command = command("watchdog");
        let named: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        let (mut named, mut known) = (named, called::COMMANDS);
        named.sort_unstable();
        known.sort_unstable();
        assert_eq!(named, known);
    }

    #[test]
    fn no_help_of_a_package_names_the_program_of_another() {
        let mut command = command("service-watchdog");
        command.build();
        let mut all = vec![command.render_long_help().to_string()];
        all.extend(command.get_subcommands_mut().map(|below| below.render_long_help().to_string()));
        for help in all {
            let bare = ["`watchdog ", "`watchdog\n", "sudo watchdog ", "  watchdog "];
            assert!(!bare.iter().any(|bare| help.contains(bare)), "{help}");
        }
    }

    #[test]
    fn each_command_says_its_exit_codes() {
        let mut own = Arguments::command();
        own.build();
        for command in own.get_subcommands_mut().filter(|it| !it.is_hide_set() && it.get_name() != "help") {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Exit code"), "{help}");
        }
    }
}
