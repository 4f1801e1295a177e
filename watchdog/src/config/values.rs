//! Parses the values that TOML has no kind for: durations, percentages, statuses, gates, names, paths.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{
    SpanRelativeTo,
    fmt::friendly::{Spacing, SpanParser, SpanPrinter},
};

use crate::policy::{Over, Threshold};

/// What was expected, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) expected: String,
    pub(super) help: String,
    pub(super) takes: Takes,
}

/// What is expected of a text, as far as the JSON Schema of the configuration can say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// No more than that it is one.
    Any,
    /// At least that this regular expression is found in it.
    Matching(&'static str),
    /// One of these.
    Words(Vec<&'static str>),
}

impl Complaint {
    pub(super) fn new(expected: impl Into<String>, help: impl Into<String>) -> Complaint {
        Complaint { expected: expected.into(), help: help.into(), takes: Takes::Any }
    }

    /// In every text that is taken this regular expression is found.
    pub(super) fn matching(self, pattern: &'static str) -> Complaint {
        Complaint { takes: Takes::Matching(pattern), ..self }
    }

    /// No other words are taken.
    pub(super) fn words(self, words: Vec<&'static str>) -> Complaint {
        Complaint { takes: Takes::Words(words), ..self }
    }
}

/// Longest duration that makes sense anywhere.
pub(super) const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A duration such as `250ms` or `1h30m`, within limits.
pub(super) fn duration(text: &str, limits: &RangeInclusive<Duration>) -> Result<Duration, Complaint> {
    const SUCH_AS: &str = "expected a duration such as \"250ms\", \"3s\", \"10m\" or \"1h30m\"";
    const FORM: &str = "[0-9]\\s*[A-Za-zµμ:]";
    let help = match text.trim() {
        number if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
            format!("a number needs a unit: \"{number}s\" for seconds")
        }
        _ => String::new(),
    };
    let span =
        SpanParser::new().parse_span(text).map_err(|_| Complaint::new(SUCH_AS, help).matching(FORM))?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok();
    let duration = duration.and_then(|duration| Duration::try_from(duration).ok());
    match duration {
        None => Err(Complaint::new(SUCH_AS, "not before now, and not by months or years")),
        Some(duration) if limits.contains(&duration) => Ok(duration),
        Some(_) => {
            let expected =
                format!("expected a duration from {} to {}", say(*limits.start()), say(*limits.end()));
            Err(Complaint::new(expected, ""))
        }
    }
}

/// A duration as people write it: `1h30m`, `250ms`, `0s`.
pub(super) fn say(duration: Duration) -> String {
    SpanPrinter::new().spacing(Spacing::None).unsigned_duration_to_string(&duration)
}

/// A percentage such as `1%`, in hundredths of one.
pub(super) fn percent(text: &str) -> Result<u32, Complaint> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    let help = if text.parse::<f64>().is_ok() { format!("write \"{text}%\"") } else { String::new() };
    let fits = number.filter(|number| (0.0..=100.0).contains(number));
    let hundredths = fits.map(|percent| (percent * 100.0).round() as u32);
    hundredths.ok_or_else(|| {
        Complaint::new("expected a percentage such as \"1%\", from 0% to 100%", help).matching("%$")
    })
}

/// A number of bytes such as `64KiB`, within limits.
pub(super) fn size(text: &str, limits: &RangeInclusive<u64>) -> Result<u64, Complaint> {
    const UNITS: [(&str, u32); 3] = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let such_as = || {
        Complaint::new("expected a size such as \"64KiB\", \"1MiB\" or \"2GiB\"", "")
            .matching("[0-9]\\s*(KiB|MiB|GiB)$")
    };
    let (number, shift) = UNITS
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))
        .ok_or_else(such_as)?;
    let number: u64 = number.trim().parse().map_err(|_| such_as())?;
    let bytes = number.checked_shl(shift).filter(|bytes| bytes >> shift == number);
    bytes.filter(|bytes| limits.contains(bytes)).ok_or_else(|| {
        let (least, most) = (limits.start() >> 10, limits.end() >> 20);
        Complaint::new(format!("expected a size from {least}KiB to {most}MiB"), "")
    })
}

/// A gate such as `some avg10 > 40`; `off` is `None`.
pub(super) fn gate(text: &str) -> Result<Option<Threshold>, Complaint> {
    let words: Vec<_> = text.split_whitespace().collect();
    let complaint = || {
        Complaint::new(
            "expected a gate such as \"some avg10 > 40\", or \"off\"",
            "some or full, then avg10, avg60 or avg300 of /proc/pressure, then > and a percentage without its sign",
        )
        .matching("^\\s*(off|(some|full)\\s+avg(10|60|300)\\s+>\\s+\\S+)\\s*$")
    };
    match words.as_slice() {
        ["off"] => Ok(None),
        [who @ ("some" | "full"), over @ ("avg10" | "avg60" | "avg300"), ">", limit] => {
            let limit: f64 = limit.parse().map_err(|_| complaint())?;
            let over = match *over {
                "avg10" => Over::Ten,
                "avg60" => Over::Sixty,
                _ => Over::ThreeHundred,
            };
            match (0.0..100.0).contains(&limit) {
                true => {
                    let limit = (limit * 100.0).round() as u32;
                    Ok(Some(Threshold { full: *who == "full", over, limit }))
                }
                false => Err(complaint()),
            }
        }
        _ => Err(complaint()),
    }
}

/// HTTP statuses: `200-499`, `204`, or `5xx`.
pub(super) fn statuses(text: &str) -> Result<RangeInclusive<u16>, Complaint> {
    let complaint = || {
        Complaint::new("expected statuses such as \"200-499\", \"404\" or \"5xx\", from 100 to 599", "")
            .matching("^\\s*[1-5]([0-9]{2}|xx)\\s*(-\\s*[1-5][0-9]{2}\\s*)?$")
    };
    let number = |text: &str| -> Result<u16, Complaint> {
        let digits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten();
        number.filter(|status| (100..=599).contains(status)).ok_or_else(complaint)
    };
    if let Some(class) = text.strip_suffix("xx") {
        let first = number(&format!("{class}00"))?;
        return Ok(first..=first + 99);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first.trim())?, number(last.trim())?);
    if first <= last { Ok(first..=last) } else { Err(complaint()) }
}

/// The name of a service or a group.
pub(super) fn name(text: &str) -> Result<String, Complaint> {
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    match fits {
        true => Ok(text.to_owned()),
        false => Err(Complaint::new(
            "expected a name of 1 to 64 letters, digits, dots, underscores and hyphens",
            "",
        )
        .matching("^[A-Za-z0-9._-]{1,64}$")),
    }
}

/// An absolute path.
pub(super) fn path(text: &str) -> Result<PathBuf, Complaint> {
    match text.starts_with('/') && !text.contains('\0') {
        true => Ok(PathBuf::from(text)),
        false => Err(Complaint::new("expected a full path, from the first slash", "").matching("^/")),
    }
}

/// The path of a Unix socket, which the kernel limits to 107 bytes.
pub(super) fn socket(text: &str) -> Result<PathBuf, Complaint> {
    let path = path(text)?;
    match socket_fits(&path) {
        true => Ok(path),
        false => Err(Complaint::new(
            "expected a path of at most 107 bytes: the kernel takes no longer one for a socket",
            "",
        )),
    }
}

fn socket_fits(path: &Path) -> bool {
    path.as_os_str().len() <= 107
}
