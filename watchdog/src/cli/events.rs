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
    stream::{self, Line},
};

/// `watchdog events`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Exit code:
  0   what is kept was told, be it nothing
  66  what is kept, or the file, cannot be read
  69  with --follow: no watchdog runs, or it has ended
  77  not allowed: what is kept is root's; with --follow, members of the group `watchdog` may look on")]
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
        if chosen.is_empty() {
            self.is_sensible(&known, &text)?;
            if !self.past.json {
                said += "nothing happened, as far as is kept\n";
            }
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

    /// Where nothing is told, a slip of the hand must not read as if all had been well.
    fn is_sensible(&self, known: &Known, text: &str) -> Result<(), Exit> {
        let mut records = text.lines().filter_map(|raw| stream::read(raw).ok()).peekable();
        if records.peek().is_none() && !text.trim().is_empty() {
            return Err(failed("there is no record of an event stream in it", Exit::Data));
        }
        let told: BTreeSet<Service> = records.filter_map(|line| line.record.subject).collect();
        for asked in self.services.chunks(1) {
            let is_meant = known.is_meant(asked);
            if !known.services.iter().map(|(service, _, _)| service).chain(&told).any(is_meant) {
                let help = "`watchdog status` names those that are watched";
                let asked = &asked[0];
                return Err(failed(
                    format_args!("there is no service, unit or group {asked:?}: {help}"),
                    Exit::Usage,
                ));
            }
        }
        Ok(())
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
            false => stream::timed(line, zone),
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

/// A moment.
#[derive(Clone, Copy, Debug)]
struct Since(Timestamp);

impl FromStr for Since {
    type Err = String;
    fn from_str(text: &str) -> Result<Since, String> {
        moment(text.trim(), Timestamp::now(), &TimeZone::system()).map(Since)
    }
}

/// A time of day is the last one that was; everything else that is yet to come is a slip.
fn moment(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let known = || -> Option<Timestamp> {
        if let Ok(time) = text.parse() {
            return Some(time);
        }
        let at = |civil: DateTime| civil.to_zoned(zone.clone()).ok();
        if text.contains('-') {
            return at(text.parse().ok()?).map(|zoned| zoned.timestamp());
        }
        if text.contains(':') {
            let (time, today) = (text.parse().ok()?, now.to_zoned(zone.clone()).date());
            let then = at(today.to_datetime(time))?;
            let last =
                if then.timestamp() > now { at(today.yesterday().ok()?.to_datetime(time))? } else { then };
            return Some(last.timestamp());
        }
        let days = text.strip_suffix('d').and_then(|days| days.trim().parse::<i64>().ok());
        let ago = match days {
            Some(days) => SignedDuration::try_from_hours(days.checked_mul(24)?)?,
            None => text.parse().ok()?,
        };
        now.checked_sub(ago.abs()).ok()
    };
    let Some(then) = known() else {
        return Err(
            "expected a time such as \"2026-11-02 03:04\" or \"03:04\", or how long ago, such as \"10m\""
                .into(),
        );
    };
    if then > now { Err("this is yet to come".to_owned()) } else { Ok(then) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four minutes past midnight of 1 December, an hour ahead of UTC.
    fn check(text: &str, expected: &str) {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let now = "2026-11-30T23:04:00Z".parse().unwrap();
        let said = match moment(text, now, &zone) {
            Ok(then) => then.to_string(),
            Err(why) => why,
        };
        assert!(said.starts_with(expected), "{text:?} is {said}");
    }

    #[test]
    fn a_date_with_a_time_is_that_of_its_day() {
        check("2026-11-30 23:50", "2026-11-30T22:50:00Z");
        check("2026-11-02T03:04:05", "2026-11-02T02:04:05Z");
        check("2020-01-01", "2019-12-31T23:00:00Z");
        check("2026-11-30T23:00:00Z", "2026-11-30T23:00:00Z");
    }

    #[test]
    fn a_time_of_day_is_the_last_one_that_was() {
        check("00:03", "2026-11-30T23:03:00Z");
        check("23:50", "2026-11-30T22:50:00Z");
        check("3:04", "expected a time");
    }

    #[test]
    fn a_span_is_so_long_ago() {
        check("10m", "2026-11-30T22:54:00Z");
        check("2d", "2026-11-28T23:04:00Z");
    }

    #[test]
    fn what_is_yet_to_come_is_a_slip_and_so_is_what_is_no_time() {
        check("2030-01-01 00:00", "this is yet to come");
        check("99999999999999999999d", "expected a time");
        check("soon", "expected a time");
    }
}
