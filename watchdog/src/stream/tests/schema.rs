//! What is written fits the schema, and the schema names what is written.

use std::{collections::BTreeSet, sync::OnceLock};

use jsonschema::Validator;
use serde_json::Value;

use crate::stream::schema;

fn validator() -> &'static Validator {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| jsonschema::draft202012::new(&schema()).unwrap())
}

/// Panics where a line does not fit the schema.
pub(super) fn fits(line: &str) {
    let value: Value = serde_json::from_str(line).unwrap();
    let kind = value["type"].as_str().unwrap();
    let faults: Vec<String> =
        validator().iter_errors(&value).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{kind} does not fit the schema: {faults:#?}\n{line}");
}

#[test]
fn every_type_that_can_be_written_is_in_the_schema_and_no_other() {
    // the one place where they are all named
    let source = include_str!("../said.rs");
    let written: BTreeSet<&str> = source.split('"').filter(|word| word.starts_with("watchdog.")).collect();
    let schema = schema();
    let known: BTreeSet<&str> = schema["properties"]["type"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| kind.as_str().unwrap())
        .collect();
    assert_eq!(known, written);
}

#[test]
fn what_the_schema_does_not_know_does_not_fit_it() {
    let line = |data: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"1","source":"s","type":"watchdog.loss","time":"2026-11-02T03:04:05Z","schemaversion":1,"data":{data}}}"#
        )
    };
    let valid = |text: String| validator().is_valid(&serde_json::from_str(&text).unwrap());
    assert!(valid(line(r#"{"mono_us":1,"lost":2,"place":"events: stdout"}"#)));
    assert!(!valid(line(r#"{"mono_us":1,"lost":2,"place":"events: stdout","more":1}"#)));
    assert!(!valid(line(r#"{"mono_us":1,"lost":-2,"place":"events: stdout"}"#)));
    assert!(!valid(line(r#"{"mono_us":1,"lost":2}"#)));
    assert!(!valid(line(r#"{"mono_us":1,"lost":2,"place":"x"}"#).replace("watchdog.loss", "watchdog.lost")));
}
