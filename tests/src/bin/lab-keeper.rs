//! The keeper of the tests' labs. With `hold` it is a creator instead: it boots a lab, says its name, and waits to be killed.

use std::{io::Write, process::ExitCode};

use lab::{Plan, keeper};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|first| first == keeper::SUBCOMMAND).is_some() {
        return keeper::main(arguments);
    }
    let held = std::env::current_exe().map_err(anyhow::Error::from).and_then(|own| Plan::new(own).boot());
    let Ok(lab) = held else { return ExitCode::FAILURE };
    if writeln!(std::io::stdout(), "{}", lab.name()).is_err() {
        return ExitCode::FAILURE;
    }
    loop {
        std::thread::park();
    }
}
