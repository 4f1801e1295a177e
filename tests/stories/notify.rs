//! People are told: once, by each way, and never at the price of a restart.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use anyhow::{Context, Result, ensure};
use lab::{Event, Stream};
use rustix::process::Signal;
use serde_json::Value;

use crate::stage::{SOON, Stage, play, recovered, recovered_once, victim};

/// What servers in the lab were told.
type Told<T> = Arc<Mutex<Vec<T>>>;

/// A victim that spends its budget soon, and is tried again soon.
const SHORT: &str = "every = \"1s\"
every_in_use = \"1s\"
[service.victim.restart]
grace = \"500ms\"
burst = 2
within = \"20s\"
backoff = \"100ms\"
backoff_max = \"1s\"
";

const HOOK: &str = "[watchdog.notify]
gather = \"200ms\"
[watchdog.notify.webhook]
url = \"http://127.0.0.1:8065/told\"
";

/// Listens in the lab, and serves each client with this.
fn serve(lab: &Stage, port: u16, serve: impl Fn(TcpStream) + Send + 'static) -> Result<()> {
    let listener = lab.in_network(|| TcpListener::bind(("127.0.0.1", port)))?.context("no port")?;
    thread::spawn(move || listener.incoming().flatten().for_each(serve));
    Ok(())
}

/// A webhook that takes everything.
fn hook(lab: &Stage) -> Result<Told<Value>> {
    let told = Told::default();
    let hears = told.clone();
    serve(lab, 8065, move |stream| {
        if let Ok(body) = request(&stream)
            && (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_ok()
        {
            hears.lock().unwrap_or_else(PoisonError::into_inner).push(body);
        }
    })?;
    Ok(told)
}

/// Reads one request, and its body.
fn request(stream: &TcpStream) -> Result<Value> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

/// A mail server that takes everything.
fn mails(lab: &Stage) -> Result<Told<String>> {
    let told = Told::default();
    let hears = told.clone();
    serve(lab, 25, move |stream| {
        if let Ok(mail) = mail(&stream) {
            hears.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
        }
    })?;
    Ok(told)
}

fn mail(mut stream: &TcpStream) -> Result<String> {
    let mut reader = BufReader::new(stream);
    let (mut mail, mut line) = (String::new(), String::new());
    stream.write_all(b"220 lab ESMTP\r\n")?;
    while reader.read_line(&mut line)? > 0 {
        let answer: &[u8] = if line.starts_with("DATA") { b"354 go on\r\n" } else { b"250 fine\r\n" };
        stream.write_all(answer)?;
        if line.starts_with("DATA") {
            while reader.read_line(&mut mail)? > 0 && !mail.ends_with("\r\n.\r\n") {}
            stream.write_all(b"250 fine\r\n")?;
            return Ok(mail);
        }
        line.clear();
    }
    anyhow::bail!("no mail came")
}

fn script(lab: &Stage, name: &str, lines: &str) -> Result<()> {
    let path = format!("/usr/local/bin/{name}");
    lab.write(&path, &format!("#!/bin/sh\n{lines}\n"))?;
    lab.exec(&["chmod", "755", &path]).map(drop)
}

/// The victim answers 500 from now on, however often it is started.
fn break_it(lab: &Stage) -> Result<()> {
    lab.write("/etc/victim/7000", "500")?;
    lab.get("http://127.0.0.1:7000/mode/500").map(drop)
}

/// A record that this channel has told this of the victim.
fn is_told(event: &Event, channel: &str, about: &str) -> bool {
    event.is("notified", "victim")
        && event.data("channel").as_str().is_some_and(|it| it.starts_with(channel))
        && event.data("fate") == "told"
        && event.data("about").to_string().contains(about)
}

fn told(watchdog: &Stream, channel: &str, about: &str) -> Result<()> {
    let what = format!("that {channel} has told: {about}");
    watchdog.wait_for(&what, SOON, |e| is_told(e, channel, about)).map(drop)
}

/// How often a webhook was told this.
fn times(told: &Told<Value>, kind: &str) -> usize {
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    let events = told.iter().filter_map(|message| message["events"].as_array()).flatten();
    events.filter(|event| event["kind"] == kind).count()
}

#[test]
fn f8_g7_a_quarantine_is_told_once_by_each_channel_and_its_end_afterwards() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let (hook, mails) = (hook(lab)?, mails(lab)?);
        script(
            lab,
            "page",
            "echo \"$WATCHDOG_EVENT $WATCHDOG_SERVICE\" >> /run/paged; cat > /run/page.json",
        )?;
        let more = "[watchdog.notify.exec]
command = [\"/usr/local/bin/page\"]
[watchdog.notify.mail]
from = \"watchdog@example.com\"
to = [\"admin@example.com\"]
";
        let watchdog = lab.guard(&(HOOK.to_owned() + more + &victim("victim", 7000) + SHORT), &["victim"])?;
        break_it(lab)?;
        for channel in ["exec", "webhook", "mail"] {
            told(&watchdog, channel, "quarantined")?;
        }
        lab.sh("rm /etc/victim/7000")?;
        recovered(&watchdog, "victim", 1, SOON)?;
        for channel in ["exec", "webhook", "mail"] {
            told(&watchdog, channel, "recovered")?;
        }
        assert_eq!((times(&hook, "quarantined"), times(&hook, "recovered")), (1, 1), "by the webhook");
        let paged = lab.read("/run/paged")?;
        let pages = |what: &str| paged.lines().filter(|line| *line == what).count();
        assert_eq!((pages("quarantined victim"), pages("recovered victim")), (1, 1), "{paged}");
        let page: Value = serde_json::from_str(&lab.read("/run/page.json")?)?;
        assert_eq!((&page["events"][0]["service"], page["text"].is_string()), (&"victim".into(), true));
        let mails = mails.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let subjects = |what: &str| mails.iter().filter(|mail| mail.contains(what)).count();
        let quarantined = subjects("victim is in quarantine\r\n");
        assert_eq!((quarantined, subjects("victim is well again\r\n")), (1, 1), "{mails:?}");
        ensure!(mails[0].contains("watchdog why victim"), "it does not say where to look: {}", mails[0]);
        Ok(())
    })
}

#[test]
fn f8_what_a_dead_watchdog_has_told_its_successor_does_not_tell_again() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let hook = hook(lab)?;
        let configuration = HOOK.to_owned() + &victim("victim", 7000) + SHORT;
        let watchdog = lab.watchdog_unit(&configuration, "", &["victim"])?;
        break_it(lab)?;
        told(&watchdog, "webhook", "quarantined")?;
        lab.until(SOON, || {
            let kept = lab.read("/var/lib/watchdog/notify.json")?;
            ensure!(kept.contains("\"owed\":{\"victim\""), "it is not kept: {kept}");
            Ok(())
        })?;
        let old = watchdog.main_pid()?;
        watchdog.kill()?;
        watchdog.until_replaced(old, SOON)?;
        lab.sh("rm /etc/victim/7000")?;
        told(&watchdog, "webhook", "recovered")?;
        assert_eq!((times(&hook, "quarantined"), times(&hook, "recovered")), (1, 1));
        Ok(())
    })
}

#[test]
fn notify_a_webhook_that_hangs_delays_no_restart() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        lab.victim("other", 7001, "")?;
        let (asked, is_asked) = mpsc::channel();
        serve(lab, 8065, move |stream| {
            asked.send(()).ok();
            std::mem::forget(stream); // open for as long as the test lives, and silent
        })?;
        let hangs = HOOK.to_owned() + "timeout = \"10m\"\n";
        let configuration = hangs + &victim("victim", 7000) + SHORT + &victim("other", 7001);
        let watchdog = lab.guard(&configuration, &["victim", "other"])?;
        break_it(lab)?;
        is_asked.recv_timeout(SOON).context("nobody is told")?;
        lab.kill_main(Signal::KILL, "other.service")?;
        recovered_once(&watchdog, "other", SOON)?;
        watchdog.wait_for("quarantine", SOON, |e| e.is("quarantined", "victim"))?;
        let ended = watchdog.count(|event| event.kind() == "notified");
        ensure!(ended == 0, "it did not hang: {ended} records");
        Ok(())
    })
}

#[test]
fn notify_what_is_not_taken_is_tried_again_and_each_try_is_recorded() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let quick = HOOK.replace("gather", "retry_after = \"500ms\"\ngather");
        let watchdog = lab.guard(&(quick + &victim("victim", 7000) + SHORT), &["victim"])?;
        break_it(lab)?; // nobody listens at the webhook's port
        watchdog.wait_for("a try that failed", SOON, |e| {
            e.is("notified", "victim") && e.data("fate")["failed"]["why"].to_string().contains("refused")
        })?;
        let hook = hook(lab)?;
        told(&watchdog, "webhook", "quarantined")?;
        assert_eq!(times(&hook, "quarantined"), 1);
        Ok(())
    })
}

#[test]
fn notify_programs_that_hang_fork_or_chatter_are_ended_whole_and_their_last_words_are_told() -> Result<()> {
    play(|lab| {
        script(lab, "hangs", "(trap '' TERM HUP; sleep 12345) & (setsid sleep 12345) & sleep 12345")?;
        script(lab, "chatters", "head -c 5000000 /dev/zero | tr '\\0' x; echo; echo the end >&2; exit 3")?;
        script(lab, "whoami", "id -un; grep CapBnd /proc/self/status; exit 4")?;
        script(lab, "good", "cat > /run/good.json; echo \"$WATCHDOG_EVENT\" > /run/good.env; sleep 54321 &")?;
        let exec = |name: &str, more: &str| {
            format!("[[watchdog.notify.exec]]\ncommand = [\"/usr/local/bin/{name}\", \"$HOME\"]\n{more}\n")
        };
        script(lab, "takes", "cat > /run/sent; echo \"$*\" > /run/sent.argv")?;
        script(lab, "refuses", "cat > /dev/null; echo 'mailbox full' >&2; exit 75")?;
        let sendmail = |name: &str, to: &str| {
            format!(
                "[[watchdog.notify.mail]]\nfrom = \"watchdog@example.com\"\nto = [\"{to}\"]\nsendmail = [\"/usr/local/bin/{name}\", \
                 \"-t\", \"-i\"]\n"
            )
        };
        let channels = exec("hangs", "timeout = \"3s\"")
            + &exec("chatters", "")
            + &exec("whoami", "user = \"nobody\"")
            + &exec("good", "")
            + &exec("absent", "")
            + &sendmail("takes", "admin@example.com")
            + &sendmail("refuses", "boss@example.com");
        lab.configure(&(channels + "[service.victim]\nunit = \"victim.service\"\n"))?;
        let output = lab.run(&[lab::PROGRAM, "notify", "--test", "--json"])?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let told: Vec<Value> = serde_json::from_str(&said)?;
        let why = |name: &str| {
            let channel = format!("exec /usr/local/bin/{name}");
            let found = told.iter().find(|it| it["channel"] == channel.as_str());
            found.map(|it| it["why"].as_str().unwrap_or_default().to_owned()).context(channel)
        };
        ensure!(why("hangs")?.contains("was not done within 3s, and was killed"), "{said}");
        let chatters = why("chatters")?;
        ensure!(chatters.contains("ended with code 3") && chatters.ends_with("the end"), "{said}");
        ensure!(why("whoami")?.contains("nobody CapBnd: 0000000000000000"), "{said}");
        ensure!(why("good")?.is_empty() && why("absent")?.contains("absent"), "{said}");
        assert_eq!(lab.read("/run/good.env")?.trim(), "test");
        let mail = |to: &str| {
            let found = told.iter().find(|it| it["channel"] == format!("mail {to}").as_str());
            found.map(|it| it["why"].as_str().unwrap_or_default().to_owned()).context("no such mail")
        };
        ensure!(mail("admin@example.com")?.is_empty(), "{said}");
        let refused = mail("boss@example.com")?;
        ensure!(refused.contains("ended with code 75") && refused.ends_with("mailbox full"), "{said}");
        assert_eq!(lab.read("/run/sent.argv")?.trim(), "-t -i");
        let sent = lab.read("/run/sent")?;
        for words in ["From: watchdog@example.com\r\n", "To: admin@example.com\r\n", "\r\n\r\nThis is a test"]
        {
            ensure!(sent.contains(words), "no {words:?} in {sent}");
        }
        let good: Value = serde_json::from_str(&lab.read("/run/good.json")?)?;
        assert_eq!(good["test"], true);
        lab.until(SOON, || {
            let left = lab.sh("pgrep -af 'sleep (12345|54321)' || true")?;
            ensure!(!left.contains("sleep 12345") && !left.contains("sleep 54321"), "left behind: {left}");
            Ok(())
        })?;
        let left = lab.sh("ls /run/watchdog 2>/dev/null || true")?;
        ensure!(!left.contains("notify-"), "left behind: {left}");
        Ok(())
    })
}
