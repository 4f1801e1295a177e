//! What is said of a configuration that cannot be run with.

mod files;
mod keys;
mod together;
mod values;

use expect_test::Expect;

use super::{load_all, without};

const SERVICE: &str = "[service.web]\nunit = \"nginx.service\"\n";

/// What is said of these files, which are faulty.
fn check(files: &[(&str, &str)], expect: Expect) {
    let (folder, loaded) = load_all(files);
    let faults = loaded.expect_err("a fault");
    assert_eq!(faults.exit_code(), 78);
    expect.assert_eq(&without(folder.path(), &faults.to_string()));
}

/// What is said of one file with these lines after a service's own.
fn check_service(lines: &str, expect: Expect) {
    check(&[("watchdog.toml", &format!("{SERVICE}{lines}"))], expect);
}

/// What is said of one file with these lines after a heartbeat's URL.
fn check_heartbeat(lines: &str, expect: Expect) {
    check_service(&format!("[service.web.heartbeat]\nurl = \"http://www.example.com/\"\n{lines}"), expect);
}
