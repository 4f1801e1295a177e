//! `cargo xtask demo`: watchdog at work, on a throw-away host of this machine: it is shown what the kernel said, the verdict,
//! the action, and when the clients were answered again.

mod timeline;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use ::lab::{Backend, Lab, Plan, Request, Traffic, Watchdog};
use anyhow::{Context, Result, ensure};
use clap::Args;
use rustix::process::Signal;

use crate::steps::{cargo, run};

/// No fault of the demo may take longer to be put right.
const LIMIT: Duration = Duration::from_secs(60);
/// Clients ask so often, and wait so long.
const RATE: u32 = 20;
const PATIENCE: Duration = Duration::from_secs(10);

const SITE: &str = "http://127.0.0.1/";
const PAGE: &str = "http://127.0.0.1:8080/heartbeat.php";

#[derive(Args)]
pub(crate) struct Demo {}

impl Demo {
    pub(crate) fn run(self) -> Result<ExitCode> {
        ::lab::tools::install(&::lab::tools::LAB)?;
        run("building watchdog", &mut cargo(&["build", "--quiet", "--locked", "--package", "watchdog"]))?;
        let own = std::env::current_exe().context("cannot find this program's own file")?;
        let watchdog = own.with_file_name("watchdog");
        ensure!(watchdog.is_file(), "cannot find {}", watchdog.display());
        eprintln!("── booting a host with nginx, Apache and php-fpm");
        let began = Instant::now();
        let lab = Plan::new(own).with(watchdog, ::lab::PROGRAM).boot()?;
        lab.nginx()?;
        let fpm = lab.apache_with_php(Backend::Unix, 8080)?;
        // PHP keeps what it has once compiled, as on a host that is tuned for speed.
        let cache = "opcache.validate_timestamps=0\\nopcache.file_update_protection=0\\n";
        lab.sh(&format!("for d in /etc/php/*/fpm/conf.d; do printf '{cache}' > $d/99-lab.ini; done"))?;
        lab.exec(&["systemctl", "restart", &fpm])?;
        lab.until_answers(PAGE, LIMIT)?;
        println!("a host of its own, with systemd, is up after {:.1} s\n", began.elapsed().as_secs_f64());

        let configuration = configuration(&fpm);
        println!("{configuration}");
        let watchdog = lab.watchdog(&configuration)?;
        let stage = Stage { lab, watchdog, fpm };
        match stage.play() {
            Ok(code) => Ok(code),
            Err(error) => {
                eprintln!("── watchdog's log\n{}", stage.watchdog.stream().log());
                Err(error)
            }
        }
    }
}

fn configuration(fpm: &str) -> String {
    format!(
        r#"[service.nginx]
unit = "nginx.service"
[service.nginx.heartbeat]
url = "{SITE}"
body = "It works!"

[service.apache]
unit = "apache2.service"
[service.apache.heartbeat]
url = "http://127.0.0.1:8080/plain.html"

[service.php]
unit = "{fpm}"                      # what is restarted …
[service.php.heartbeat]
url = "http://heartbeat.example.com/heartbeat.php"
connect = "127.0.0.1:8080"                       # … and what is asked: Apache, in front of it
body = "It works!"
timeout = "3s"
"#
    )
}

struct Stage {
    lab: Lab,
    watchdog: Watchdog,
    fpm: String,
}

/// One fault, and what came of it.
struct Ended {
    fault: &'static str,
    times: timeline::Times,
    /// From the fault to the first good answer of a client.
    back: Option<Duration>,
    requests: usize,
    failed: usize,
}

impl Stage {
    fn play(&self) -> Result<ExitCode> {
        for service in ["nginx", "apache", "php"] {
            self.watchdog.wait_for(&format!("a good first answer of {service}"), LIMIT, |event| {
                event.is("heartbeat", service) && event.data("verdict") == "alive"
            })?;
        }
        println!("watchdog run: all three answer. Light traffic from now on: {RATE} requests a second.");
        let (site, page) = (self.lab.traffic(SITE, RATE, PATIENCE)?, self.lab.traffic(PAGE, RATE, PATIENCE)?);
        for traffic in [&site, &page] {
            traffic.wait_for_good(::lab::mono_us(), LIMIT)?;
        }
        let ended = [
            self.act("nginx is killed (SIGKILL)", "nginx", &site, || {
                self.lab.kill_main(Signal::KILL, "nginx.service")
            })?,
            self.act("php-fpm hangs behind Apache (SIGSTOP)", "php", &page, || {
                self.lab.kill_all(Signal::STOP, &self.fpm)
            })?,
            self.act("the page is broken, and stays so in PHP's cache", "php", &page, || self.break_page())?,
        ];
        summary(&ended);
        let all = ended.iter().all(|ended| ended.back.is_some());
        Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// A deployment goes wrong and is put right, but PHP still serves what it has compiled.
    fn break_page(&self) -> Result<u64> {
        let page = "/var/www/html/heartbeat.php";
        self.lab.write(page, "<?php echo 'It works no more.';\n")?;
        self.lab.exec(&["systemctl", "reload", &self.fpm])?;
        self.lab.until(LIMIT, || {
            let body = self.lab.get(PAGE)?.body;
            ensure!(body.contains("no more"), "the page still says {body}");
            Ok(())
        })?;
        let at = ::lab::mono_us();
        self.lab.write(page, "<?php echo 'It works!';\n")?;
        Ok(at)
    }

    /// Does the harm and shows what comes of it until the service has recovered.
    fn act(
        &self,
        fault: &'static str,
        service: &str,
        traffic: &Traffic,
        hurt: impl FnOnce() -> Result<u64>,
    ) -> Result<Ended> {
        println!("\n━━ {fault}");
        let before = traffic.requests().len();
        let shown = self.watchdog.events().len();
        let at = hurt()?;
        let mut times = timeline::follow(&self.watchdog, shown, at, service, LIMIT);
        let answered = traffic.wait_for_good(times.recovered.unwrap_or(at), LIMIT).ok();
        let requests = traffic.requests().split_off(before);
        let failed = requests.iter().filter(|request| !request.good()).count();
        let back = times.recovered.and(first_good(&requests, at, times.acted).or(answered));
        let back = back.map(|request| Duration::from_micros(request.ended.saturating_sub(at)));
        match back {
            Some(back) => println!("   ▶ clients are answered again {} ms after the fault", back.as_millis()),
            None => println!("   ▶ NOT RECOVERED within {LIMIT:?}"),
        }
        times.relative_to(at);
        Ok(Ended { fault, times, back, requests: requests.len(), failed })
    }
}

/// The first answer that was asked for after the action (a page that is broken is answered well before it, too).
fn first_good(requests: &[Request], fault: u64, acted: Option<u64>) -> Option<Request> {
    let since = acted.unwrap_or(fault);
    requests
        .iter()
        .filter(|request| request.good() && request.ended >= since)
        .min_by_key(|r| r.ended)
        .cloned()
}

fn summary(ended: &[Ended]) {
    println!("\n━━ summary (milliseconds after the fault)");
    println!("{:<50} {:>9} {:>9} {:>9} {:>17}", "", "verdict", "restart", "back", "requests failed");
    let ms =
        |time: Option<u64>| time.map_or_else(|| "–".to_owned(), |us| format!("{:.1}", us as f64 / 1000.0));
    for Ended { fault, times, back, requests, failed } in ended {
        let back = back.map_or_else(|| "never".to_owned(), |back| back.as_millis().to_string());
        let (verdict, acted) = (ms(times.verdict), ms(times.acted));
        println!("{fault:<50} {verdict:>9} {acted:>9} {back:>9} {:>17}", format!("{failed} of {requests}"));
    }
    let all = ended.iter().all(|ended| ended.back.is_some());
    println!("{}", if all { "all recovered" } else { "NOT all recovered" });
}
