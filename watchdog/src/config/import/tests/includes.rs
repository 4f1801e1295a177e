use std::{fs, path::Path};

use expect_test::{Expect, expect};
use tempfile::TempDir;

use crate::config::import::{Answers, convert, faults, read};

/// Files of a folder, of which the first is read: each statement with its fate, and the tables that came of it.
fn check(files: &[(&str, &str)], expected: &Expect) {
    let folder = TempDir::new().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let first = files.first().map(|(name, _)| folder.path().join(name)).expect("a file");
    let script = read(&[first]).expect("files that can be read");
    let report = convert(&script, &Answers::new(), None);
    assert_eq!(faults(&report.toml), None, "{}", report.toml);
    let lines: Vec<_> = report
        .statements
        .iter()
        .map(|it| format!("{} {}: {:?}\n", it.place, it.statement, it.fate))
        .collect();
    expected.assert_eq(&lines.concat().replace(&format!("{}/", folder.path().display()), ""));
}

#[test]
fn c7_what_is_included_belongs_to_the_check_around_it() {
    check(
        &[
            ("monitrc", "set daemon 60\ninclude conf.d/*.conf\ninclude none/*\n"),
            (
                "conf.d/web.conf",
                "check process nginx pidfile /run/nginx.pid\n include ../templates/nginx\n if failed port 80 then restart\n",
            ),
            ("conf.d/web.conf~", "check process old pidfile /run/old.pid\n"),
            ("conf.d/logging", "check process logging pidfile /run/logging.pid\n"),
            ("templates/nginx", "start program = \"/etc/init.d/nginx start\"\n"),
        ],
        &expect![[r#"
            monitrc:1 set daemon 60: Converted { to: "every, within" }
            monitrc:2 include conf.d/*.conf: Converted { to: "1 file read" }
            conf.d/web.conf:1 check process nginx pidfile /run/nginx.pid: Converted { to: "[service.nginx]" }
            conf.d/web.conf:2 include ../templates/nginx: Converted { to: "1 file read" }
            conf.d/../templates/nginx:1 start program = "/etc/init.d/nginx start": Converted { to: "unit" }
            conf.d/web.conf:3 if failed port 80 then restart: Converted { to: "[service.nginx.heartbeat]" }
            monitrc:3 include none/*: Lost { reason: "no file matches" }
        "#]],
    );
}

#[test]
fn a_file_that_includes_itself_is_read_once() {
    check(
        &[(
            "monitrc",
            "include monitrc\ncheck process nginx pidfile /run/nginx.pid\n start \"service nginx start\"\n",
        )],
        &expect![[r#"
            monitrc:1 include monitrc: Partly { to: "0 files read", reason: "monitrc includes itself" }
            monitrc:2 check process nginx pidfile /run/nginx.pid: Converted { to: "[service.nginx]" }
            monitrc:3 start "service nginx start": Converted { to: "unit" }
        "#]],
    );
}
