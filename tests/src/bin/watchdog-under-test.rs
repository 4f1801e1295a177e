//! The program under test: the same as `watchdog`, built whenever the tests are.

fn main() -> std::process::ExitCode {
    watchdog::cli::main()
}
