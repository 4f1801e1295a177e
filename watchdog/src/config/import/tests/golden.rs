//! Whole configurations: those that administrators have written about, and one of each statement.

use std::fs;

use expect_test::expect_file;

use super::{beside, holds, script};
use crate::config::import::{Answers, convert};

/// `NAME.monit` becomes `NAME.toml`, and `NAME.report` tells of it.
fn check(name: &str) {
    let text = fs::read(beside(&format!("{name}.monit"))).expect("an input");
    let script = script(&text);
    let report = convert(&script, &Answers::new(), None);
    expect_file![beside(&format!("{name}.toml"))].assert_eq(&report.toml);
    expect_file![beside(&format!("{name}.report"))].assert_eq(&report.to_string());
    holds(&script, &report);
    assert!(!report.toml.contains("geheim") && !report.to_string().contains("geheim"), "a password is told");
}

#[test]
fn a12_a_backend_with_a_heartbeat_through_its_front_end() {
    check("front_and_backend");
}

#[test]
fn b4_rules_on_the_logs_of_nginx_behind_a_gate() {
    check("stack_nginx");
}

#[test]
fn b6_start_is_restart_and_a_process_without_a_start_program_is_only_told_of() {
    check("stack_httpd");
}

#[test]
fn c3_a_daemon_with_a_port_and_a_pid_file() {
    check("tcp_daemon");
}

#[test]
fn apache_with_guards_of_its_files() {
    check("apache");
}

#[test]
fn checks_as_packages_bring_them() {
    check("snippets");
}

#[test]
fn heartbeats_of_every_kind() {
    check("websites");
}

#[test]
fn mails_go_to_whom_they_went_and_figures_of_a_host_name_the_closest_setting() {
    check("mails");
}

#[test]
fn what_monit_itself_would_refuse_has_a_fate_all_the_same() {
    check("broken");
}

#[test]
fn what_is_not_converted_is_told_with_its_reason() {
    check("not_converted");
}
