//! What changes something: for root alone, and each request on record with its answer.

use std::{
    mem,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode},
};
use http_body_util::{BodyExt as _, Limited};
use jiff::{SpanRelativeTo, fmt::friendly::SpanParser};
use serde::Deserialize;
use tokio::{sync::oneshot, time::timeout};

use super::{
    Ask, DRILL, Fault, PAUSE, RELOAD, RESTART, RESUME, Reloaded, Report, Unknown, choose,
    peer::Peer,
    reply::{fault, json},
    serve::{Api, PATIENCE, silent},
};
use crate::model::{Audit, Change, Injury, Wish};

/// The body of a request.
const BYTES: usize = 64 * 1024;
/// A configuration that names a hundred certificates on a slow disk is read within this.
const READ: Duration = Duration::from_secs(45);
/// Letters of a reason.
const REASON: usize = 500;
/// How much of what was asked is on record.
const ASKED: usize = 1_000;
/// A pause without a word of its end lasts for this: what is forgotten must not stay off.
const PAUSE_LASTS: Duration = Duration::from_secs(60 * 60);
/// A year; whoever wants more means for ever.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What is asked for, as JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    services: Vec<String>,
    #[serde(rename = "for")]
    lasts: Option<String>,
    reason: Option<String>,
    fault: Option<Injury>,
}

/// Why it is refused, and under which status.
type No = (StatusCode, Fault);

pub(super) async fn pause(State(api): State<Api>, request: Request) -> Response<Body> {
    let wish = |asked: &Asked| {
        let lasts = match asked.lasts.as_deref() {
            None => Some(PAUSE_LASTS),
            Some("ever") => None,
            Some(text) => Some(duration(text)?),
        };
        Ok(Wish::Pause { lasts, reason: reason(asked)? })
    };
    change(api, PAUSE, request, wish).await
}

pub(super) async fn resume(State(api): State<Api>, request: Request) -> Response<Body> {
    let wish = |asked: &Asked| match asked.lasts.is_some() || asked.reason.is_some() {
        true => Err(bad("a resume has no `for` and no `reason`", "send {\"services\": [\"NAME\"]}")),
        false => Ok(Wish::Resume),
    };
    change(api, RESUME, request, wish).await
}

pub(super) async fn restart(State(api): State<Api>, request: Request) -> Response<Body> {
    let wish = |asked: &Asked| match asked.lasts.is_some() {
        true => Err(bad("a restart has no `for`", "send {\"services\": [\"NAME\"], \"reason\": \"…\"}")),
        false => Ok(Wish::Restart { reason: reason(asked)? }),
    };
    change(api, RESTART, request, wish).await
}

pub(super) async fn drill(State(api): State<Api>, request: Request) -> Response<Body> {
    let wish = |asked: &Asked| match (asked.fault, asked.services.len()) {
        (Some(fault), 1) => Ok(Wish::Drill { fault }),
        (Some(_), _) => Err(bad("a drill is of one service", "name one")),
        (None, _) => Err(bad("a drill has a `fault`", "\"kill\", \"stop\" or \"hang\"")),
    };
    change(api, DRILL, request, wish).await
}

pub(super) async fn reload(State(api): State<Api>, request: Request) -> Response<Body> {
    let Some(peer) = request.extensions().get::<Peer>().cloned() else { return silent() };
    if let Err(no) = body(request).await {
        return refuse(&api, &peer, RELOAD, no).await;
    }
    // whoever asks may go away meanwhile: it is done, and on record, all the same
    let done = tokio::spawn(async move {
        let (answer, answered) = oneshot::channel();
        let reloaded = api.ask(Ask::Reload(answer), answered, READ).await;
        let (done, said) = match &reloaded {
            Some(Ok(())) => (true, "the new configuration is in force".to_owned()),
            Some(Err(faults)) => (false, faults.clone()),
            None => (false, "no answer in time: see the log of watchdog".to_owned()),
        };
        let answer =
            if done { said.clone() } else { format!("the old configuration stays in force: {said}") };
        record(&api, Audit { by: peer.asker(), asked: "a reload".into(), done, answer, untold: 0 }).await;
        match reloaded {
            Some(Ok(())) => json(StatusCode::OK, &Reloaded { said }),
            Some(Err(faults)) => fault(
                StatusCode::UNPROCESSABLE_ENTITY,
                "the configuration has faults, and the old one stays in force",
                faults,
            ),
            None => silent(),
        }
    });
    done.await.unwrap_or_else(|_| silent())
}

async fn change(
    api: Api,
    path: &'static str,
    request: Request,
    wish: impl FnOnce(&Asked) -> Result<Wish, No>,
) -> Response<Body> {
    let Some(peer) = request.extensions().get::<Peer>().cloned() else { return silent() };
    let read = match body(request).await {
        Ok(read) => read,
        Err(no) => return refuse(&api, &peer, path, no).await,
    };
    let text = shortened(&format!("{path} {}", String::from_utf8_lossy(&read)));
    let understood = serde_json::from_slice::<Asked>(&read).map_err(|why| {
        bad(format!("this is no such request: {why}"), "send {\"services\": [\"NAME\"]} as JSON")
    });
    let (wish, asked) = match understood.and_then(|asked| Ok((wish(&asked)?, asked))) {
        Ok(understood) => understood,
        Err(no) => return refuse(&api, &peer, &text, no).await,
    };
    let Some(status) = api.status().await else { return silent() };
    let chosen = choose(&asked.services, &status.services).map_err(|Unknown { asked, help }| {
        no(StatusCode::NOT_FOUND, format!("there is no service, unit or group {asked:?}"), help)
    });
    let chosen = match chosen {
        Ok(chosen) if chosen.is_empty() => {
            let no = bad("no service is named", "name services, units, groups or patterns; \"*\" is all");
            return refuse(&api, &peer, &text, no).await;
        }
        Ok(chosen) => chosen,
        Err(no) => return refuse(&api, &peer, &text, no).await,
    };
    let services = chosen.into_iter().map(|at| status.services[at].service.clone()).collect();
    let change = Change { by: peer.asker(), asked: text, wish, services };
    let (answer, answered) = oneshot::channel();
    match api.ask(Ask::Change(Box::new(change), answer), answered, PATIENCE).await {
        Some(services) => {
            let all = services.iter().all(|it| it.done);
            json(if all { StatusCode::OK } else { StatusCode::CONFLICT }, &Report { services })
        }
        None => silent(),
    }
}

/// What cannot be done as it was asked for.
async fn refuse(api: &Api, peer: &Peer, asked: &str, (status, why): No) -> Response<Body> {
    let answer = if why.help.is_empty() { why.error.clone() } else { format!("{}: {}", why.error, why.help) };
    let (by, asked) = (peer.asker(), asked.to_owned());
    record(api, Audit { by, asked, done: false, answer, untold: 0 }).await;
    json(status, &why)
}

/// One who may not change anything has tried to.
pub(super) async fn refused(api: &Api, peer: &Peer, path: &str, why: &str) {
    let Some(untold) = api.refusals.lock().ok().and_then(|mut counted| counted.next(Instant::now())) else {
        return;
    };
    let (by, asked) = (peer.asker(), shortened(path));
    record(api, Audit { by, asked, done: false, answer: why.to_owned(), untold }).await;
}

async fn record(api: &Api, audit: Audit) {
    let _the_engine_is_ending = api.asks.send(Ask::Audit(Box::new(audit))).await;
}

/// Those that were refused for who they are: whoever may not write must not fill the disk either.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    since: Option<Instant>,
    told: u32,
    untold: u64,
}

impl Refusals {
    const A_MINUTE: u32 = 20;

    /// `None`: counted only. Else how many were, before this one.
    fn next(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(60)) {
            (self.since, self.told) = (Some(now), 0);
        }
        if self.told == Self::A_MINUTE {
            self.untold += 1;
            return None;
        }
        self.told += 1;
        Some(mem::take(&mut self.untold))
    }
}

/// All of it, within its size and its time.
async fn body(request: Request) -> Result<Vec<u8>, No> {
    let read = timeout(PATIENCE, Limited::new(request.into_body(), BYTES).collect()).await;
    match read {
        Ok(Ok(read)) => Ok(read.to_bytes().to_vec()),
        Ok(Err(why)) if why.is::<http_body_util::LengthLimitError>() => Err(no(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("a request has at most {} KiB", BYTES / 1024),
            "name a group or a pattern instead of each service",
        )),
        Ok(Err(why)) => Err(bad("the request cannot be read", why.to_string())),
        Err(_) => Err(no(
            StatusCode::REQUEST_TIMEOUT,
            format!("the request did not come within {PATIENCE:?}"),
            "send it at once",
        )),
    }
}

fn duration(text: &str) -> Result<Duration, No> {
    let span = SpanParser::new().parse_span(text).ok();
    let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let duration = duration.and_then(|duration| Duration::try_from(duration).ok());
    match duration {
        Some(duration) if (Duration::from_secs(1)..=LONGEST).contains(&duration) => Ok(duration),
        Some(_) => Err(bad("a pause lasts from 1s to 366d", "or \"ever\", which lasts until it is resumed")),
        None => Err(bad(
            format!("`for` is no duration: {text:?}"),
            "write \"10m\", \"1h30m\" or \"2d\"; or \"ever\", which lasts until it is resumed",
        )),
    }
}

/// One line, which goes into every table and record as it is.
fn reason(asked: &Asked) -> Result<String, No> {
    let reason = asked.reason.as_deref().unwrap_or_default().trim();
    if reason.chars().count() > REASON {
        return Err(bad(format!("a reason has at most {REASON} letters"), ""));
    }
    Ok(reason.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect())
}

fn shortened(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(ASKED) {
        Some((end, _)) => format!("{}…", &one_line[..end]),
        None => one_line,
    }
}

fn bad(error: impl Into<String>, help: impl Into<String>) -> No {
    no(StatusCode::BAD_REQUEST, error, help)
}

fn no(status: StatusCode, error: impl Into<String>, help: impl Into<String>) -> No {
    (status, Fault { error: error.into(), help: help.into() })
}
