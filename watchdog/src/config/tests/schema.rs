//! The schema takes what is read, names what is read, and refuses what it can know to be wrong. That it takes every good text of
//! these tests is asked where they are loaded.

use std::{collections::BTreeMap, sync::OnceLock};

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::load_all;
use crate::config::{SAMPLE, keys::TABLES, schema, sketch::Sketch, values};

fn validator() -> &'static Validator {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| jsonschema::draft202012::new(&schema()).expect("a schema"))
}

fn faults(text: &str) -> Vec<String> {
    let table: toml::Table = toml::from_str(text).expect("it is TOML");
    let value = json!(table);
    validator().iter_errors(&value).map(|fault| fault.to_string()).collect()
}

/// Panics where a text that is read without a fault does not fit the schema.
pub(super) fn fits(text: &str) {
    let faults = faults(text);
    assert!(faults.is_empty(), "a good configuration does not fit the schema: {faults:#?}\n{text}");
}

#[test]
fn every_key_that_is_read_is_known_by_its_table_and_every_key_that_is_known_is_read() {
    let sketch = Sketch::draw();
    let drawn = sketch.keys();
    let sorted = |keys: &[&'static str]| {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        keys
    };
    let any: &[&str] = &[Sketch::ANY]; // a table that is known without keys takes any
    let below = TABLES.iter().filter(|(table, _)| !table.is_empty());
    let known: BTreeMap<&str, Vec<&str>> =
        below.map(|(table, keys)| (*table, sorted(if keys.is_empty() { any } else { keys }))).collect();
    assert_eq!(drawn, known);
    let schema = schema();
    let root: Vec<&String> = schema["properties"].as_object().expect("tables").keys().collect();
    assert_eq!(root, ["service", "watchdog"]);
}

#[test]
fn the_sample_fits_and_gives_each_of_its_keys_a_comment_or_an_example() {
    fits(SAMPLE);
    let schema = schema();
    let heartbeat = &schema["properties"]["service"]["additionalProperties"]["properties"]["heartbeat"];
    let timeout = &heartbeat["anyOf"][0]["properties"]["timeout"];
    assert_eq!(
        timeout["description"],
        "for the whole answer, from connect to the last byte (a duration such as \"250ms\", \"3s\", \"10m\" or \
         \"1h30m\", from 10ms to 1h)"
    );
    assert_eq!(timeout["examples"], json!(["3s"]));
    let hook = &schema["properties"]["watchdog"]["properties"]["notify"]["properties"]["webhook"];
    let ca = &hook["anyOf"][0]["properties"]["ca"]["description"];
    assert!(ca.as_str().is_some_and(|told| told.contains("the issuers to trust")), "{ca}");
}

/// Faulty in a way that the schema can know.
const FAULTY: [&str; 24] = [
    "[services.web]\nunit = \"nginx.service\"",
    "[watchdog]\nmode = \"observes\"",
    "[watchdog]\nstate_directory = \"lib/watchdog\"",
    "[watchdog]\nevents = [\"stderr\"]",
    "[watchdog.budget]\nrestarts = 0",
    "[watchdog.budget]\nrestarts = \"20\"",
    "[watchdog.gates]\nmemory = \"avg10 > 40\"",
    "[watchdog.gates]\ndisk_free = 1",
    "[watchdog.recorder]\nkinds = [\"core\"]",
    "[watchdog.recorder]\nsize = \"1MB\"",
    "[watchdog.notify.exec]\nuser = \"nobody\"",
    "[watchdog.notify.exec]\ncommand = [\"page-me\"]",
    "[watchdog.notify.mail]\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]\nsendmail = [\"/bin/s\"]\nport = 25",
    "[service.web]\nunit = \"nginx\"",
    "[service.web]\ngroup = \"web\"",
    "[service.\"web site\"]\nunit = \"nginx.service\"",
    "[service.web]\nunit = \"nginx.service\"\nheartbeats = 1",
    "[service.web]\nunit = \"nginx.service\"\n[service.web.heartbeat]\ntimeout = \"3s\"",
    "[service.web]\nunit = \"nginx.service\"\n[service.web.heartbeat]\nurl = \"http://a/\"\ntimeout = 3",
    "[service.web]\nunit = \"nginx.service\"\n[service.web.heartbeat]\nurl = \"http://a/\"\ntimeout = \"3\"",
    "[service.web]\nunit = \"nginx.service\"\n[[service.web.heartbeat]]\nurl = \"http://a/\"\nexec = [\"/bin/a\"]",
    "[service.web]\nunit = \"nginx.service\"\n[service.web.heartbeat]\nurl = \"http://a/\"\nheaders = { Host = 1 }",
    "[service.web]\nunit = \"nginx.service\"\n[service.web.log]\npath = \"/a\"\nstatus = \"5xx\"\nshare = 0",
    "[service.web]\nunit = \"nginx.service\"\n[service.web.restart.ladder]\nreboot = \"yes\"",
];

#[test]
fn what_is_faulty_does_not_fit_and_is_refused_by_the_reader_as_well() {
    for text in FAULTY {
        assert!(!faults(text).is_empty(), "it fits: {text}");
        let (_folder, loaded) = load_all(&[("watchdog.toml", text)]);
        assert!(loaded.is_err(), "it is read: {text}");
    }
}

/// Whether a text of this key fits.
fn takes(pointer: &str, text: &str) -> bool {
    let schema = schema();
    let form: &Value = schema.pointer(pointer).expect("a key");
    jsonschema::draft202012::is_valid(form, &json!(text))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_duration_that_is_read_fits_however_it_is_written(
        text in "[0-9]{1,2}(\\.[0-9])? ?(ms|s|sec|seconds|m|min|minutes|h|hr|hours|d|days|w)( ?[0-9]{1,2} ?(s|secs|ms|µs))?|[0-9]{2}:[0-9]{2}:[0-9]{2}"
    ) {
        if values::duration(&text, &(std::time::Duration::ZERO..=values::YEAR)).is_ok() {
            prop_assert!(takes("/properties/watchdog/properties/gates/properties/hold_for", &text), "{}", text);
        }
    }

    #[test]
    fn a_gate_that_is_read_fits_however_it_is_written(text in "( |\\t)?(some|full|off)?( |  |\\t)(avg(10|60|300))? {0,2}>? {0,2}[0-9.]{0,3}( |\\t)?") {
        if values::gate(&text).is_ok() {
            prop_assert!(takes("/properties/watchdog/properties/gates/properties/memory", &text), "{}", text);
        }
    }
}
