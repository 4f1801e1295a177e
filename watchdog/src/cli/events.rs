use std::{
    io::{self, Write as _},
    str::FromStr,
};

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

use super::{
    Exit, complain,
    past::{self, Past},
};
use crate::stream::{self, Line, sentence};

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
    #[command(flatten)]
    past: Past,
}

/// So many are told where nothing else is said.
const LINES: usize = 100;

impl Events {
    pub(super) fn main(self) -> Exit {
        self.tell().err().unwrap_or(Exit::Ok)
    }

    fn tell(&self) -> Result<(), Exit> {
        let known = self.past.known()?;
        let text = match self.past.recorded().transpose()? {
            Some(text) => text,
            None => known.read(|kept| kept.recent())?,
        };
        let is_meant = known.is_meant(&self.services);
        let chosen = self.last(&text, |line| match &line.record.subject {
            Some(service) => is_meant(service),
            None => self.services.is_empty(),
        });
        let zone = past::zone();
        let mut said = String::new();
        for (raw, line) in chosen.iter().rev() {
            match self.past.json {
                true => said += raw,
                false => said += &in_a_line(line, &zone),
            }
            said.push('\n');
        }
        if chosen.is_empty() && !self.past.json {
            said += "nothing happened, as far as is kept";
            said.push('\n');
        }
        io::stdout().write_all(said.as_bytes()).map_err(|fault| {
            complain(format_args!("cannot write it: {fault}"));
            Exit::System
        })
    }

    /// The last ones that are asked for, the newest first.
    fn last<'a>(&self, text: &'a str, is_meant: impl Fn(&Line) -> bool) -> Vec<(&'a str, Line)> {
        let most = self.lines.unwrap_or(if self.since.is_some() { usize::MAX } else { LINES });
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

/// `2026-11-02 03:04:05.123 nginx: main process 812 (nginx) ended by SIGKILL`.
fn in_a_line(line: &Line, zone: &TimeZone) -> String {
    format!("{} {}", line.time.to_zoned(zone.clone()).strftime("%F %T%.3f"), sentence(&line.record))
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
