//! `[watchdog.notify]`: who is told, and what is wrong with it.

use std::fs;

use expect_test::expect;

use super::{in_short, load_all, mode, without};
use crate::{
    config::load,
    notify::{Carrier, MailTls, Way},
};

const SERVICE: &str = "[service.web]\nunit = \"nginx.service\"\n";

/// Each text below `[watchdog.notify]`, with the first fault that it is told.
fn check(texts: &[&str], expected: expect_test::Expect) {
    let mut told = String::new();
    for text in texts {
        let (folder, loaded) = load_all(&[("watchdog.toml", &format!("{text}\n{SERVICE}"))]);
        let first = text.lines().last().unwrap_or_default();
        told += &match loaded {
            Ok(loaded) => format!("{first}: {}\n", loaded.warnings.join("; ")),
            Err(faults) => {
                let faults: Vec<String> =
                    faults.iter().map(|fault| format!("{fault}: {}", in_short(fault))).collect();
                format!("{first}: {}\n", faults.join("; "))
            }
        };
        told = without(folder.path(), &told);
    }
    expected.assert_eq(&told);
}

#[test]
fn a_mail_needs_no_more_than_from_to_and_a_server() {
    let text = "[watchdog.notify.mail]\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]\n";
    let (_folder, loaded) = load_all(&[("watchdog.toml", &(text.to_owned() + SERVICE))]);
    let channels = loaded.expect("it is good").settings.notify.channels;
    let [channel] = channels.as_slice() else { panic!("one channel") };
    assert_eq!((channel.name.as_str(), channel.on.len()), ("mail b@example.com", 5));
    let Way::Mail(mail) = &channel.way else { panic!("a mail") };
    let Carrier::Smtp { server, port, tls, .. } = &mail.by else { panic!("a server") };
    assert_eq!((server.as_str(), *port, *tls), ("localhost", 25, MailTls::None));
}

#[test]
fn what_cannot_be_used_is_told_with_what_was_expected() {
    let exec = "[watchdog.notify.exec]\n";
    let hook = "[watchdog.notify.webhook]\n";
    let mail = "[watchdog.notify.mail]\nfrom = \"a@example.com\"\n";
    let to = format!("{mail}to = [\"b@example.com\"]\n");
    let texts = [
        "[watchdog.notify]".to_owned(),
        "[watchdog.notify]\nmail = \"root\"".into(),
        "[watchdog.notify]\nretry_afer = \"1s\"".into(),
        exec.to_owned() + "user = \"nobody\"",
        exec.to_owned() + "command = [\"page-me\"]",
        exec.to_owned() + "command = [\"/bin/page\"]\non = [\"everything\"]",
        exec.to_owned() + "command = [\"/bin/page\"]\non = []",
        hook.to_owned() + "timeout = \"20s\"",
        hook.to_owned() + "url = \"hooks.example.com/sesame\"",
        hook.to_owned() + "url = \"https://user:sesame@hooks.example.com/\"",
        hook.to_owned() + "url = \"https://hooks.example.com/sesame\"",
        hook.to_owned() + "url = \"tcp://127.0.0.1:80\"",
        hook.to_owned() + "url = \"http://127.0.0.1/\"\nca = \"/nowhere\"",
        hook.to_owned() + "url_file = \"/nowhere\"",
        mail.into(),
        mail.to_owned() + "to = [\"admin\"]",
        to.clone() + "server = \"mail.example.com:25\"",
        to.clone() + "tls = \"ssl\"",
        to.clone() + "user = \"me\"",
        to + "sendmail = [\"/usr/sbin/sendmail\"]\nport = 25",
    ];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    check(
        &texts,
        expect![[r#"
        [watchdog.notify]: watchdog.toml:1:11: nobody is told: [watchdog.notify] names no way to tell; add [watchdog.notify.exec], [watchdog.notify.webhook] or [watchdog.notify.mail]; watchdog.toml:2:10: [service.web] has no heartbeat: only the end of its unit leads to action, a hang is not noticed; add [service.NAME.heartbeat] with a url
        mail = "root": cannot use this value of `watchdog.notify.mail`: expected a table, found a text; write [watchdog.notify.mail], or [[watchdog.notify.mail]] for each of several
        retry_afer = "1s": unknown key `retry_afer` in [watchdog.notify]: did you mean `retry_after`?
        user = "nobody": [watchdog.notify.exec] has no `command`: in this table; such as command = ["/usr/local/bin/page-me"]
        command = ["page-me"]: cannot use this value of `watchdog.notify.exec.command`: expected the full path of a program, then its arguments; such as ["/usr/sbin/nginx", "-t"]; there is no shell and no PATH here
        on = ["everything"]: cannot use this value of `watchdog.notify.exec.on`: expected "quarantined" or "failed" or "alert" or "repeated" or "restarted" or "recovered"
        on = []: cannot use this value of `watchdog.notify.exec.on`: expected one thing to tell at least; take the whole table out, or this key: then it tells all but "restarted"
        timeout = "20s": [watchdog.notify.webhook] has no `url`: in this table; such as url = "https://hooks.example.com/…", or url_file = "/full/path"
        url = "hooks.example.com/sesame": cannot use this value of `watchdog.notify.webhook.url`: expected a URL such as "https://hooks.example.com/…"; begin with https:// or http://
        url = "https://user:sesame@hooks.example.com/": cannot use this value of `watchdog.notify.webhook.url`: expected a URL without user and password; `token_file` and `headers` say who asks
        url = "https://hooks.example.com/sesame": watchdog.toml:2:7: every user of this host can read this URL; where it holds a secret, `chmod o-r` this file, or put the URL in a file of its own: `url_file`; watchdog.toml:3:10: [service.web] has no heartbeat: only the end of its unit leads to action, a hang is not noticed; add [service.NAME.heartbeat] with a url
        url = "tcp://127.0.0.1:80": cannot use this value of `watchdog.notify.webhook.url`: expected a URL such as "https://hooks.example.com/…"; only http and https are spoken
        ca = "/nowhere": cannot use this value of `watchdog.notify.webhook.ca`: expected a PEM file with certificates; I/O error: No such file or directory (os error 2)
        url_file = "/nowhere": cannot use this value of `watchdog.notify.webhook.url_file`: cannot read /nowhere: No such file or directory (os error 2); write the secret on one line of this file, for root alone: mode 0600
        from = "a@example.com": [watchdog.notify.mail] has no `to`: in this table; such as to = ["admin@example.com"]
        to = ["admin"]: cannot use this value of `watchdog.notify.mail.to`: expected a mail address such as "admin@example.com"; the bare address, without a name before it
        server = "mail.example.com:25": cannot use this value of `watchdog.notify.mail.server`: expected a host name or an address, such as "mail.example.com"; the port is a key of its own: `port`
        tls = "ssl": cannot use this value of `watchdog.notify.mail.tls`: expected "tls" or "starttls" or "none"
        user = "me": `watchdog.notify.mail.user` stands alone: `password_file` belongs to it
        port = 25: `port` and `sendmail` do not go together: this one, and this one; `sendmail` hands the mail to a program, which knows the way
    "#]],
    );
}

#[test]
fn a27_a_secret_that_others_can_read_is_refused_and_never_shown() {
    let (folder, _) = load_all(&[("secret", "https://hooks.example.com/sesame\n")]);
    let secret = folder.path().join("secret");
    let path = secret.display();
    let text =
        format!("[watchdog.notify.webhook]\nurl_file = \"{path}\"\ntoken_file = \"{path}\"\n{SERVICE}");
    fs::write(folder.path().join("watchdog.toml"), text).expect("a file");
    let faults = load(Some(folder.path())).expect_err("others can read it").render(false);
    assert_eq!(faults.matches("it holds a password, and its mode 0644").count(), 2, "{faults}");
    mode(&secret, 0o600);
    let loaded = load(Some(folder.path())).expect("it is good");
    let shown = format!("{:?}", loaded.settings.notify);
    assert!(shown.contains("hooks.example.com") && !shown.contains("sesame"), "{shown}");
}

#[test]
fn a27_neither_the_url_of_a_webhook_nor_a_token_is_shown_with_a_fault() {
    let text = "[watchdog.notify.webhook]\nurl = \"https://hooks.example.com/sesame\"\nheaders = { X-Token = \"sesame\" }\nfoo = 1\n";
    let (_folder, loaded) = load_all(&[("watchdog.toml", &(text.to_owned() + SERVICE))]);
    let faults = loaded.expect_err("foo is no key").render(false);
    assert!(!faults.contains("sesame"), "{faults}");
}

#[test]
fn a27_a_password_for_the_mail_server_stands_in_a_file_of_its_own_and_never_goes_out_in_clear_text() {
    let (folder, _) = load_all(&[("secret", "sesame\n")]);
    let secret = folder.path().join("secret");
    let mut told = String::new();
    let mut check = |keys: &str| {
        let text = format!(
            "[watchdog.notify.mail]\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]\nuser = \"me\"\npassword_file = \
             \"{}\"\n{keys}{SERVICE}",
            secret.display()
        );
        fs::write(folder.path().join("watchdog.toml"), text).expect("a file");
        let loaded = load(Some(folder.path()));
        let said = match &loaded {
            Ok(loaded) => {
                let shown = format!("{:?}", loaded.settings.notify);
                assert!(shown.contains("mail b@example.com") && !shown.contains("sesame"), "{shown}");
                "good".to_owned()
            }
            Err(faults) => faults.iter().map(|fault| format!("{fault}: {}", in_short(fault))).collect(),
        };
        told += &format!("{}: {}\n", keys.trim().replace('\n', ", "), without(folder.path(), &said));
    };
    check("server = \"mx.example.com\"\n");
    mode(&secret, 0o600);
    check("server = \"mx.example.com\"\n");
    check("server = \"mx.example.com\"\ntls = \"tls\"\n");
    check("server = \"mx.example.com\"\ntls = \"none\"\n");
    check("server = \"127.0.0.1\"\n");
    expect![[r#"
        server = "mx.example.com": cannot use this value of `watchdog.notify.mail.password_file`: cannot trust secret: it holds a password, and its mode 0644 lets others than its owner read it; `chmod go-rwx secret`

        server = "mx.example.com": good

        server = "mx.example.com", tls = "tls": good

        server = "mx.example.com", tls = "none": cannot use this value of `watchdog.notify.mail.tls`: the password would go over the network in clear text; tls = "starttls", or "tls"; `ca` names the issuer of the server's certificate, where it is none of the known

        server = "127.0.0.1": good

    "#]].assert_eq(&told);
}
