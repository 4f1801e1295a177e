//! What the API answers, as JSON.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE},
};
use serde::{Deserialize, Serialize};

use crate::model::Changed;

const JSON: &str = "application/json";

/// Why something was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What is wrong.
    pub error: String,
    /// What to do.
    #[serde(default)]
    pub help: String,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Each service that was meant, in the order of their names.
    pub services: Vec<Changed>,
}

/// The new configuration is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// For people.
    pub said: String,
}

pub(super) fn fault(status: StatusCode, error: impl Into<String>, help: impl Into<String>) -> Response<Body> {
    json(status, &Fault { error: error.into(), help: help.into() })
}

pub(super) fn json(status: StatusCode, word: &impl Serialize) -> Response<Body> {
    match serde_json::to_string(word) {
        Ok(json) => typed(status, JSON, json + "\n"),
        Err(fault) => {
            // it holds nothing but strings that were text before
            let said = format!("{{\"error\":\"cannot be said as JSON\",\"help\":{:?}}}\n", fault.to_string());
            typed(StatusCode::INTERNAL_SERVER_ERROR, JSON, said)
        }
    }
}

pub(super) fn typed(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The whole answer to one who finds no room: nothing is read for it.
pub(super) const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close\r\n\
    retry-after: 2\r\n\r\n{\"error\":\"too many requests at once\",\"help\":\"try again in two seconds\"}\n";
