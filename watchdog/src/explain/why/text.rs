//! The story for people.

use std::{fmt::Write as _, time::Duration};

use jiff::{Timestamp, tz::TimeZone};

use super::{Moment, Why};
use crate::{model::IncidentEnd, stream::span};

/// Longer lines are broken between words.
const WIDTH: usize = 110;

impl Why {
    /// Times of day are told in this zone.
    pub fn text(&self, zone: &TimeZone, coloured: bool) -> String {
        let mut text = self.head(zone, coloured);
        paragraph(&mut text, "What happened", &self.happened);
        paragraph(&mut text, "Evidence", &self.evidence);
        let rules: Vec<String> = self.rules.iter().map(|rule| self.briefly(rule)).collect();
        paragraph(&mut text, "Decision", &rules);
        paragraph(&mut text, "Action", &self.actions);
        let result = if self.result.is_empty() { Vec::new() } else { vec![self.result.clone()] };
        paragraph(&mut text, "Result", &result);
        if !self.times.is_empty() {
            let times: Vec<String> =
                self.times.iter().map(|it| format!("{} → {}", micros(it.after_us), it.what)).collect();
            paragraph(&mut text, "Times", &[format!("first sign → {}", times.join(" → "))]);
        }
        text += "\nStep by step\n";
        let width = self.steps.iter().map(|it| micros(it.after_us).chars().count()).max().unwrap_or(0);
        for alike in
            self.steps.chunk_by(|one, next| without_figures(&one.what) == without_figures(&next.what))
        {
            let [step, .., last] = alike else {
                alike.iter().for_each(|step| text += &said(step, &step.what, zone, width));
                continue;
            };
            text += &said(step, &step.what, zone, width);
            let more = match alike.len() - 1 {
                1 => "the same once more".to_owned(),
                times => format!("the same, the last of {times} times more"),
            };
            text += &said(last, &more, zone, width);
        }
        text
    }

    /// Without the figures that stand in the evidence already, and without what the heading says.
    fn briefly(&self, rule: &str) -> String {
        let rule = rule.strip_prefix("decided: ").unwrap_or(rule);
        match rule.split_once("; ") {
            Some((brief, figures)) if self.evidence.iter().any(|evidence| evidence.ends_with(figures)) => {
                brief.to_owned()
            }
            Some(_) | None => rule.to_owned(),
        }
    }

    fn head(&self, zone: &TimeZone, coloured: bool) -> String {
        let unit = self.unit.as_ref().map(|unit| format!(" ({unit})")).unwrap_or_default();
        let incident = self.incident.map(|id| format!(", incident {id}")).unwrap_or_default();
        let (how, colour) = match self.end {
            Some(IncidentEnd::Recovered) => ("RECOVERED", "\x1b[32m"),
            Some(IncidentEnd::Quarantined) => ("QUARANTINED", "\x1b[1;31m"),
            Some(IncidentEnd::StoodDown) => ("left alone", "\x1b[33m"),
            Some(IncidentEnd::Superseded) => ("brought back by somebody else", "\x1b[32m"),
            None if self.incident.is_none() => ("a decision outside of any incident", "\x1b[33m"),
            None => ("NOT OVER", "\x1b[1;31m"),
        };
        let how = if coloured { format!("{colour}{how}\x1b[0m") } else { how.to_owned() };
        let took = match self.end {
            Some(_) => format!(", took {}", micros(self.took_us)),
            None => String::new(),
        };
        format!("{}{unit}{incident}: {how}\n{}{took}\n", self.service, zoned(self.began, zone, "%A %F %T %Z"))
    }
}

/// One step; `width` is that of the longest time since the first.
fn said(step: &Moment, what: &str, zone: &TimeZone, width: usize) -> String {
    let before =
        format!("  {}  +{:<width$}  ", zoned(step.time, zone, "%H:%M:%S%.3f"), micros(step.after_us));
    wrapped(&before, what)
}

/// What is asked again and again is answered after another time each.
fn without_figures(what: &str) -> String {
    what.chars().filter(|letter| !letter.is_ascii_digit() && *letter != '.').collect()
}

/// Other incidents, the newest first, under a heading.
pub fn earlier(moments: &[Moment], zone: &TimeZone) -> String {
    if moments.is_empty() {
        return String::new();
    }
    let mut text = "\nBefore that\n".to_owned();
    for moment in moments {
        text += &wrapped(&format!("  {}  ", zoned(moment.time, zone, "%F %T")), &moment.what);
    }
    text
}

fn paragraph(text: &mut String, name: &str, lines: &[String]) {
    for (number, line) in lines.iter().enumerate() {
        let name = if number == 0 { name } else { "" };
        if number == 0 {
            *text += "\n";
        }
        *text += &wrapped(&format!("{name:<15}"), line);
    }
}

/// After these words, and under them where one line is not enough.
fn wrapped(before: &str, what: &str) -> String {
    let indent = before.chars().count();
    let mut text = before.to_owned();
    let mut column = indent;
    for word in what.split(' ') {
        let length = word.chars().count();
        if column > indent && column + 1 + length > WIDTH {
            _ = write!(text, "\n{:indent$}", "");
            column = indent;
        } else if column > indent {
            text.push(' ');
            column += 1;
        }
        text += word;
        column += length;
    }
    text.trim_end().to_owned() + "\n"
}

fn zoned(time: Timestamp, zone: &TimeZone, format: &str) -> String {
    time.to_zoned(zone.clone()).strftime(format).to_string()
}

fn micros(micros: u64) -> String {
    span(Duration::from_micros(micros))
}
