use std::{fs, os::unix::fs::symlink, path::Path};

use expect_test::{Expect, expect};

use super::{folder, in_short, mode, without, write};
use crate::{
    config::{Faults, Loaded, files, load, understand},
    model::Service,
};

const WEB: &str = "[service.web]\nunit = \"nginx.service\"\n";
const HEARTBEAT: &str = "[service.web.heartbeat]\nurl = \"http://a/\"\n";

fn at_default(folder: &Path) -> Result<Loaded, Faults> {
    understand(files::find(None, folder), false)
}

/// What is said of this path, and the exit code.
fn check(folder: &Path, path: &Path, expect: Expect) {
    let faults = load(Some(path)).expect_err("a fault");
    expect.assert_eq(&without(folder, &format!("{faults}\nexit code {}", faults.exit_code())));
}

fn names(folder: &Path, loaded: &Loaded) -> String {
    let names = |paths: &[std::path::PathBuf]| {
        let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        names.join(" ")
    };
    without(folder, &format!("read: {}\nignored: {}", names(&loaded.files), names(&loaded.ignored)))
}

#[test]
fn fragments_are_read_in_name_order_and_what_does_not_end_in_toml_is_told() {
    let folder = folder(&[
        ("watchdog.toml", "[watchdog]\nmode = \"observe\"\n"),
        ("conf.d/20-web.toml", WEB),
        ("conf.d/10-php.toml", "[service.php]\nunit = \"php.service\"\n[watchdog.gates]\nio = \"off\"\n"),
        ("conf.d/30.toml.bak", "["),
        ("conf.d/README", "["),
        ("conf.d/.hidden.toml", "["),
    ]);
    let loaded = at_default(folder.path()).expect("no fault");
    expect![[r#"
        read: watchdog.toml conf.d/10-php.toml conf.d/20-web.toml
        ignored: conf.d/30.toml.bak conf.d/README
    "#]]
    .assert_eq(&names(folder.path(), &loaded));
    let policy = loaded.settings.policy;
    assert!(policy.host.observe && policy.host.gates.io.is_none() && policy.host.gates.cpu.is_some());
    assert_eq!(policy.services.keys().map(Service::as_str).collect::<Vec<_>>(), ["php", "web"]);
}

#[test]
fn a_named_file_stands_alone_and_a_named_folder_brings_its_fragments() {
    let folder =
        folder(&[("watchdog.toml", WEB), ("conf.d/php.toml", "[service.php]\nunit = \"php.service\"\n")]);
    let file = load(Some(&folder.path().join("watchdog.toml"))).expect("no fault");
    expect![[r#"
        read: watchdog.toml
        ignored:
    "#]]
    .assert_eq(&names(folder.path(), &file));
    let whole = load(Some(folder.path())).expect("no fault");
    expect![[r#"
        read: watchdog.toml conf.d/php.toml
        ignored:
    "#]]
    .assert_eq(&names(folder.path(), &whole));
}

#[test]
fn fragments_alone_are_enough() {
    let folder = folder(&[("conf.d/web.toml", WEB)]);
    expect![[r#"
        read: conf.d/web.toml
        ignored:
    "#]]
    .assert_eq(&names(folder.path(), &at_default(folder.path()).expect("no fault")));
}

#[test]
fn no_configuration_says_how_to_write_one() {
    let folder = folder(&[]);
    let faults = at_default(&folder.path().join("etc")).expect_err("a fault");
    assert_eq!(faults.exit_code(), 78);
    expect![[r#"
        error: no configuration: neither etc/watchdog.toml nor a file in etc/conf.d is there
         |
         = help: `watchdog discover --output etc/watchdog.toml` writes one for the units that listen here; or write it, these lines are a whole configuration:

                 [service.web]
                 unit = "nginx.service"

                 [service.web.heartbeat]
                 url = "http://127.0.0.1/"

        The configuration has a fault and is not used.
    "#]]
    .assert_eq(&without(folder.path(), &faults.to_string()));
    check(
        folder.path(),
        &folder.path().join("nothing.toml"),
        expect![[r#"
        error: cannot read nothing.toml: No such file or directory (os error 2)
         |
         = help: check the path; `--config` names a file, or a folder that holds watchdog.toml

        The configuration has a fault and is not used.
        exit code 66
    "#]],
    );
    check(
        folder.path(),
        folder.path(),
        expect![[r#"
        error: cannot read watchdog.toml: No such file or directory (os error 2)
         |
         = help: check the path; `--config` names a file, or a folder that holds watchdog.toml

        The configuration has a fault and is not used.
        exit code 66
    "#]],
    );
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    let folder = folder(&[("watchdog.toml", WEB), ("conf.d/a.toml", HEARTBEAT)]);
    mode(&folder.path().join("watchdog.toml"), 0o664);
    mode(&folder.path().join("conf.d/a.toml"), 0o606);
    check(
        folder.path(),
        folder.path(),
        expect![[r#"
        error: cannot trust watchdog.toml: its mode 0664 lets others than its owner write to it
         |
         = help: watchdog acts as root on what it reads there: `chmod go-w watchdog.toml`

        error: cannot trust conf.d/a.toml: its mode 0606 lets others than its owner write to it
         |
         = help: watchdog acts as root on what it reads there: `chmod go-w conf.d/a.toml`

        The configuration has 2 faults and is not used.
        exit code 78
    "#]],
    );
}

#[test]
fn a_folder_that_others_may_write_is_refused_also_behind_a_link() {
    let folder = folder(&[("in/real/watchdog.toml", WEB)]);
    let link = folder.path().join("link.toml");
    symlink("in/../in/real/watchdog.toml", &link).expect("a link");
    load(Some(&link)).expect("no fault");
    mode(&folder.path().join("in"), 0o777);
    check(
        folder.path(),
        &link,
        expect![[r#"
        error: cannot trust in: its mode 0777 lets others than its owner write to it
         |
         = help: watchdog acts as root on what it reads there: `chmod go-w in`

        The configuration has a fault and is not used.
        exit code 78
    "#]],
    );
    // In a sticky folder of root's nobody can touch what belongs to another.
    if rustix::process::geteuid().is_root() {
        mode(&folder.path().join("in"), 0o1777);
        load(Some(&link)).expect("no fault");
    }
}

#[test]
fn a_sticky_folder_of_fragments_is_refused() {
    let folder = folder(&[("watchdog.toml", WEB), ("conf.d/a.toml", "")]);
    mode(&folder.path().join("conf.d"), 0o1777);
    check(
        folder.path(),
        folder.path(),
        expect![[r#"
        error: cannot trust conf.d: its mode 1777 lets others than its owner write to it
         |
         = help: watchdog acts as root on what it reads there: `chmod go-w conf.d`

        The configuration has a fault and is not used.
        exit code 78
    "#]],
    );
}

#[test]
fn what_belongs_to_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return; // nobody else can give a file away
    }
    let folder = folder(&[("watchdog.toml", WEB), ("conf.d/a.toml", ""), ("theirs/watchdog.toml", WEB)]);
    let give =
        |name: &str| std::os::unix::fs::lchown(folder.path().join(name), Some(1), None).expect("given");
    give("watchdog.toml");
    check(
        folder.path(),
        folder.path(),
        expect![[r#"
        error: cannot trust watchdog.toml: it belongs to user 1, who could change it
         |
         = help: watchdog acts as root on what it reads there: `chown root:root watchdog.toml`

        The configuration has a fault and is not used.
        exit code 78
    "#]],
    );
    give("theirs");
    check(
        folder.path(),
        &folder.path().join("theirs"),
        expect![[r#"
        error: cannot trust theirs: it belongs to user 1, who could change it
         |
         = help: watchdog acts as root on what it reads there: `chown root:root theirs`

        The configuration has a fault and is not used.
        exit code 78
    "#]],
    );
    symlink("conf.d/a.toml", folder.path().join("link.toml")).expect("a link");
    give("link.toml");
    check(
        folder.path(),
        &folder.path().join("link.toml"),
        expect![[r#"
        error: cannot trust link.toml: it belongs to user 1, who could change it
         |
         = help: watchdog acts as root on what it reads there: `chown root:root link.toml`

        The configuration has a fault and is not used.
        exit code 78
    "#]],
    );
}

#[test]
fn what_is_no_file_is_refused_without_waiting_for_it() {
    let folder = folder(&[("watchdog.toml", WEB)]);
    let fragments = folder.path().join("conf.d");
    fs::create_dir_all(fragments.join("folder.toml")).expect("a folder");
    mode(&fragments, 0o755);
    mode(&fragments.join("folder.toml"), 0o755);
    let fifo = fragments.join("pipe.toml");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    symlink("loop.toml", fragments.join("loop.toml")).expect("a link");
    symlink("/nowhere/at/all", fragments.join("nowhere.toml")).expect("a link");
    write(folder.path(), "conf.d/large.toml", " ".repeat((1 << 20) + 1));
    write(folder.path(), "conf.d/latin1.toml", b"# one\n# \xe4\n");
    check(
        folder.path(),
        folder.path(),
        expect![[r#"
            error: cannot trust conf.d/folder.toml: it is no regular file
             |
             = help: put a regular file there

            error: cannot trust conf.d/large.toml: it is larger than 1 MiB
             |
             = help: a configuration is some kilobytes: look at what this file is

            error: cannot read conf.d/latin1.toml: line 2 is not UTF-8
             |
             = help: save the file as UTF-8

            error: cannot trust conf.d/loop.toml: too many symbolic links lead to it
             |
             = help: put the file itself there

            error: cannot read conf.d/nowhere.toml: /nowhere: No such file or directory (os error 2)
             |
             = help: check the path; `--config` names a file, or a folder that holds watchdog.toml

            error: cannot trust conf.d/pipe.toml: it is no regular file
             |
             = help: put a regular file there

            The configuration has 6 faults and is not used.
            exit code 78
        "#]],
    );
}

#[test]
fn a_password_is_read_at_once_kept_from_others_and_never_shown() {
    let folder = folder(&[("secret", "user:pass:word\n"), ("bad", "no colon\n")]);
    let secret = folder.path().join("secret");
    let load_with = |name: &str| {
        let path = folder.path().join(name);
        write(
            folder.path(),
            "watchdog.toml",
            format!("{WEB}{HEARTBEAT}basic_auth_file = \"{}\"\n", path.display()),
        );
        load(Some(folder.path()))
    };
    let check = |name: &str, expect: Expect| {
        let faults = load_with(name).expect_err("a fault");
        let lines: Vec<_> = faults.iter().map(in_short).collect();
        expect.assert_eq(&without(folder.path(), &lines.join("\n")));
    };
    check(
        "secret",
        expect![[r#"
        cannot trust secret: it holds a password, and its mode 0644 lets others than its owner read it; `chmod go-rwx secret`
    "#]],
    );
    check(
        "bad",
        expect![[r#"
        cannot trust bad: it holds a password, and its mode 0644 lets others than its owner read it; `chmod go-rwx bad`
    "#]],
    );
    check(
        "nothing",
        expect![[r#"
        cannot read nothing: No such file or directory (os error 2); write user:password on one line of this file, for root alone: mode 0600
    "#]],
    );
    mode(&secret, 0o600);
    mode(&folder.path().join("bad"), 0o600);
    check(
        "bad",
        expect![[r#"
        expected a file with one line: user:password
    "#]],
    );
    let loaded = load_with("secret").expect("no fault");
    let heartbeat = &loaded.settings.heartbeats[&Service::new("web")][0];
    assert_eq!(heartbeat.basic_auth.as_ref().map(|auth| auth.0.as_str()), Some("user:pass:word"));
    assert!(!format!("{loaded:?}").contains("pass:word"));
}

#[test]
fn a_file_of_nonsense_is_told_of_in_a_few_faults() {
    let bottomless = [
        format!("a{} = 1\n", ".a".repeat(50_000)),
        format!("[a{}]\n", ".a".repeat(50_000)),
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a=".repeat(30_000)),
    ];
    let endless = ["x\n".repeat(50_000), "\u{0}".repeat(100_000), "a='\n".repeat(20_000)];
    for text in bottomless.iter().chain(&endless) {
        let folder = folder(&[("watchdog.toml", text)]);
        let faults = load(Some(folder.path())).expect_err("a fault");
        assert!((1..=10).contains(&faults.count()) && faults.to_string().len() < 100_000);
    }
}
