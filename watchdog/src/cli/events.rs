use std::{
    collections::BTreeSet,
    future::pending,
    io::{self, ErrorKind, Write as _},
    ops::ControlFlow,
    str::FromStr,
};

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    Exit,
    ask::{failed, no},
    past::{self, Known, Past},
};
use crate::{
    control,
    model::Service,
    stream::{self, Line, sentence},
};

/// `watchdog events`.
#[derive(Debug, clap::Args)]
pub(super) struct Events {
    /// Only of these services: names, units, groups, or patterns with * and ?
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Not before this: a time (`2026-11-02 03:04`, `03:04`) or how long ago (`90s`, `10m`, `2h`, `3d`)
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// At most so many, the last ones [default: 100, or all since the given time]
    #[arg(long, short = 'n', value_name = "COUNT")]
    lines: Option<usize>,
    /// Go on with what happens from now on
    #[arg(long, short = 'f', conflicts_with = "file")]
    follow: bool,
    /// While following, also what only says that all is well
    #[arg(long, requires = "follow")]
    all: bool,
    #[command(flatten)]
    past: Past,
}

/// So many are told where nothing else is said …
const LINES: usize = 100;
/// … and so many, where others follow.
const BEFORE: usize = 10;

impl Events {
    pub(super) fn main(self) -> Exit {
        self.tell().err().unwrap_or(Exit::Ok)
    }

    fn tell(&self) -> Result<(), Exit> {
        let known = self.past.known()?;
        if self.follow {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            return runtime.map_err(|fault| failed(fault, Exit::System))?.block_on(self.go_on(&known));
        }
        let text = match self.past.recorded().transpose()? {
            Some(text) => text,
            None => known.read(|kept| kept.recent())?,
        };
        let zone = past::zone();
        let is_meant = known.is_meant(&self.services);
        let chosen = self.last(&text, LINES, |line| self.is_meant(line, &is_meant));
        let mut said: String = chosen.iter().rev().map(|(raw, line)| self.said(raw, line, &zone)).collect();
        if chosen.is_empty() && !self.past.json {
            said += "nothing happened, as far as is kept\n";
        }
        write(&said)
    }

    /// What happened last, and then what happens.
    async fn go_on(&self, known: &Known) -> Result<(), Exit> {
        let zone = past::zone();
        let is_meant = known.is_meant(&self.services);
        // first: what happens while the past is told must not be missed
        let onlooker = control::look_on(&known.socket).await.map_err(no)?;
        let past = known.kept.recent().unwrap_or_default(); // not everybody who may look on may read it
        let past = self.last(&past, BEFORE, |line| self.is_meant(line, &is_meant));
        write(&past.iter().rev().map(|(raw, line)| self.said(raw, line, &zone)).collect::<String>())?;
        let told: BTreeSet<&str> = past.iter().map(|(_, line)| line.id.as_str()).collect();
        let mut done = Ok(());
        let each = onlooker.each(|raw| {
            let Ok(line) = stream::read(raw) else { return ControlFlow::Continue(()) };
            let news = !told.contains(line.id.as_str()) && (self.all || line.record.is_kept());
            if news && self.is_meant(&line, &is_meant) {
                done = write(&self.said(raw, &line, &zone));
            }
            if done.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        tokio::select! {
            () = each => {}
            () = called_off() => return Ok(()), // as whoever follows ends it
        }
        done?;
        Err(failed(
            "the stream has ended: watchdog was stopped, or nothing was read here for long",
            Exit::Unavailable,
        ))
    }

    fn is_meant(&self, line: &Line, is_meant: impl Fn(&Service) -> bool) -> bool {
        match &line.record.subject {
            Some(service) => is_meant(service),
            None => self.services.is_empty(),
        }
    }

    fn said(&self, raw: &str, line: &Line, zone: &TimeZone) -> String {
        match self.past.json {
            true => format!("{raw}\n"),
            false => in_a_line(line, zone),
        }
    }

    /// The last ones that are asked for, the newest first.
    fn last<'a>(&self, text: &'a str, most: usize, is_meant: impl Fn(&Line) -> bool) -> Vec<(&'a str, Line)> {
        let most = self.lines.unwrap_or(if self.since.is_some() { usize::MAX } else { most });
        let since = self.since.map(|since| since.0);
        let mut last = Vec::new();
        for raw in text.lines().rev() {
            if last.len() == most {
                break;
            }
            let Ok(line) = stream::read(raw) else { continue };
            if since.is_some_and(|since| line.time < since) {
                continue;
            }
            if is_meant(&line) {
                last.push((raw, line));
            }
        }
        last
    }
}

/// Comes when whoever looks on has seen enough: Ctrl-C, or a polite end.
async fn called_off() {
    let (Ok(mut interrupt), Ok(mut end)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = end.recv() => {}
    }
}

fn write(said: &str) -> Result<(), Exit> {
    let mut out = io::stdout();
    match out.write_all(said.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(fault) if fault.kind() == ErrorKind::BrokenPipe => Err(Exit::Ok), // whoever read it has seen enough
        Err(fault) => Err(failed(format_args!("cannot write it: {fault}"), Exit::System)),
    }
}

/// `2026-11-02 03:04:05.123 nginx: main process 812 (nginx) ended by SIGKILL`.
fn in_a_line(line: &Line, zone: &TimeZone) -> String {
    format!("{} {}\n", line.time.to_zoned(zone.clone()).strftime("%F %T%.3f"), sentence(&line.record))
}

/// A moment.
#[derive(Clone, Copy, Debug)]
struct Since(Timestamp);

impl FromStr for Since {
    type Err = String;
    fn from_str(text: &str) -> Result<Since, String> {
        let text = text.trim();
        let now = Timestamp::now();
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Since(time));
        }
        let zone = TimeZone::system();
        let today = now.to_zoned(zone.clone()).date();
        let time = text.parse::<jiff::civil::Time>().ok().filter(|_| text.contains(':'));
        let civil = time.map(|time| today.to_datetime(time)).or_else(|| text.parse::<DateTime>().ok());
        if let Some(civil) = civil {
            let zoned = civil.to_zoned(zone).map_err(|fault| fault.to_string())?;
            return Ok(Since(zoned.timestamp()));
        }
        let days = text.strip_suffix('d').and_then(|days| days.trim().parse::<i64>().ok());
        let ago = match days {
            Some(days) => SignedDuration::try_from_hours(days.saturating_mul(24)),
            None => text.parse::<SignedDuration>().ok(),
        };
        let since = ago.and_then(|ago| now.checked_sub(ago.abs()).ok());
        since.map(Since).ok_or_else(|| {
            "expected a time such as \"2026-11-02 03:04\" or \"03:04\", or how long ago, such as \"10m\""
                .to_owned()
        })
    }
}
