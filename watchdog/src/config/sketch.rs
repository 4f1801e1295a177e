//! The JSON Schema of the configuration.
//!
//! Invariant: it is drawn by the readers themselves, which are run over empty tables and write down what they ask for instead of
//! reading it. So no key, kind, limit or word of it can differ from what is read; the sample adds a comment and an example to
//! each key that it has. It takes whatever is read without a fault.
//! Deliberately absent: what only `watchdog check` can say, that is what several files together come to, and most of what a text
//! means (a URL, a regular expression, whether a duration is within its limits).

use std::{collections::BTreeMap, ops::RangeInclusive};

use serde_json::{Map, Value, json};

use super::{
    SAMPLE,
    fault::Place,
    host,
    reader::{Log, Reader},
    service,
    tree::Table,
    values::{self, Complaint, Takes},
};
use crate::heartbeat::Profiles;

/// What the readers ask for, by the kind of table (`service.*.restart`).
#[derive(Debug, Default)]
pub(super) struct Sketch(BTreeMap<String, Drawn>);

/// A table.
#[derive(Debug, Default)]
struct Drawn {
    keys: BTreeMap<String, Form>,
    /// What holds between keys.
    rules: Vec<Value>,
}

/// What may stand behind a key.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// This, and how it is told to people.
    Value(Value, String),
    /// A table below.
    Table,
    /// One, or several.
    Tables,
}

impl Sketch {
    /// Stands for each key of a table that may have any.
    pub(super) const ANY: &str = "*";

    pub(super) fn key(&mut self, table: &str, key: &str, form: Form) {
        self.0.entry(table.to_owned()).or_default().keys.insert(key.to_owned(), form);
    }

    pub(super) fn rule(&mut self, table: &str, rule: Value) {
        let rules = &mut self.0.entry(table.to_owned()).or_default().rules;
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }

    /// Has everything read that can be.
    pub(super) fn draw() -> Sketch {
        let log = Log { sketch: Some(Sketch::default().into()), ..Log::default() };
        let nothing = Table { place: Place { file: 0, span: 0..0 }, entries: BTreeMap::new() };
        host::read(&Reader::host(&nothing, &log), &[]);
        let service = Reader::service("NAME", &nothing, &log);
        service::read("NAME", &nothing.place, &service, &[], &mut Profiles::default());
        log.sketch.map(std::cell::RefCell::into_inner).unwrap_or_default()
    }

    /// The tables with their keys.
    #[cfg(test)]
    pub(super) fn keys(&self) -> BTreeMap<&str, Vec<&str>> {
        let tables = self.0.iter();
        tables
            .map(|(table, drawn)| (table.as_str(), drawn.keys.keys().map(String::as_str).collect()))
            .collect()
    }

    fn table(&self, kind: &str, sample: &Sample) -> Value {
        let mut schema = Map::from_iter([("type".to_owned(), json!("object"))]);
        let drawn = self.0.get(kind);
        let keys = drawn.into_iter().flat_map(|drawn| &drawn.keys);
        let mut properties = Map::new();
        let mut others = json!(false);
        for (key, form) in keys {
            let path = format!("{kind}.{key}");
            let value = match form {
                Form::Value(value, told) => sample.explained(&path, value.clone(), told),
                Form::Table => self.table(&path, sample),
                Form::Tables => {
                    let table = self.table(&path, sample);
                    json!({ "anyOf": [table.clone(), { "type": "array", "items": table }] })
                }
            };
            match key == Sketch::ANY {
                true => others = value,
                false => _ = properties.insert(key.clone(), value),
            }
        }
        schema.insert("properties".into(), properties.into());
        schema.insert("additionalProperties".into(), others);
        schema.extend(sample.comments.get(kind).map(|comment| ("description".to_owned(), json!(comment))));
        let rules = drawn.map(|drawn| &drawn.rules).filter(|rules| !rules.is_empty());
        schema.extend(rules.map(|rules| ("allOf".to_owned(), json!(rules))));
        schema.into()
    }
}

impl Form {
    /// A text, by the complaint about one that fits nowhere; `None`: any.
    pub(super) fn text(complaint: Option<Complaint>) -> Form {
        let Some(Complaint { expected, takes, .. }) = complaint else {
            return Form::Value(json!({ "type": "string" }), String::new());
        };
        let told = expected.strip_prefix("expected ").unwrap_or(&expected).to_owned();
        match takes {
            Takes::Any => Form::Value(json!({ "type": "string" }), told),
            Takes::Matching(pattern) => Form::Value(json!({ "type": "string", "pattern": pattern }), told),
            Takes::Words(words) => Form::Value(json!({ "enum": words }), String::new()),
        }
    }

    /// The same, with more for people.
    pub(super) fn noting(self, more: &str) -> Form {
        match self {
            Form::Value(value, told) => Form::Value(value, format!("{told}, {more}")),
            Form::Table | Form::Tables => self,
        }
    }

    pub(super) fn count(limits: &RangeInclusive<u32>) -> Form {
        let (least, most) = (limits.start(), limits.end());
        Form::Value(json!({ "type": "integer", "minimum": least, "maximum": most }), String::new())
    }

    pub(super) fn share() -> Form {
        Form::Value(json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 }), String::new())
    }

    pub(super) fn flag() -> Form {
        Form::Value(json!({ "type": "boolean" }), String::new())
    }

    /// A list of such texts, and of numbers where they can be meant by one.
    pub(super) fn list(item: &str, complaint: Option<Complaint>, numbers: bool) -> Form {
        let (mut items, told) = match Form::text(complaint) {
            Form::Value(items, told) => (items, told),
            Form::Table | Form::Tables => (json!({}), String::new()),
        };
        if numbers {
            items["type"] = json!(["string", "integer"]);
        }
        let told = if told.is_empty() { item.to_owned() } else { format!("{item}, each {told}") };
        Form::Value(json!({ "type": "array", "items": items }), told)
    }

    pub(super) fn argv() -> Form {
        let argv = json!({
            "type": "array",
            "minItems": 1,
            "prefixItems": [{ "type": "string", "pattern": "^/" }],
            "items": { "type": ["string", "integer"] },
        });
        Form::Value(argv, "the full path of a program, then its arguments; no shell".into())
    }
}

/// What the sample has: by the path of a key or table, with the name of the service left out.
struct Sample {
    comments: BTreeMap<String, String>,
    values: Map<String, Value>,
}

impl Sample {
    /// The name of the sample's service.
    const SERVICE: &str = "php";

    fn read() -> Sample {
        let mut comments = BTreeMap::new();
        let mut table = String::new();
        for line in SAMPLE.lines() {
            let (code, comment) = parted(line);
            let path = match code.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                Some(name) => {
                    table = name.replace(&format!("service.{}", Sample::SERVICE), "service.*");
                    table.clone()
                }
                None => format!("{table}.{}", code.split(" = ").next().unwrap_or_default()),
            };
            let Some(comment) = comment else { continue };
            // a key that the sample cannot have beside the others is told of in a comment that begins with it
            let told = comment.split_once(" = ").map(|(key, _)| key).filter(|key| !key.contains(' '));
            comments.insert(told.map_or(path, |key| format!("{table}.{key}")), comment.to_owned());
        }
        let values =
            toml::from_str::<toml::Table>(SAMPLE).ok().and_then(|table| json!(table).as_object().cloned());
        Sample { comments, values: values.unwrap_or_default() }
    }

    /// A key's value, with what people are told of it and what the sample has there.
    fn explained(&self, path: &str, mut value: Value, told: &str) -> Value {
        let comment = self.comments.get(path).map(String::as_str).unwrap_or_default();
        let description = match (comment, told) {
            ("", told) => told.to_owned(),
            (comment, "") => comment.to_owned(),
            (comment, told) => format!("{comment} ({told})"),
        };
        if !description.is_empty() {
            value["description"] = json!(description);
        }
        let mut steps = path.split('.').map(|step| if step == "*" { Sample::SERVICE } else { step });
        let first = steps.next().and_then(|step| self.values.get(step));
        if let Some(example) = steps.try_fold(first, |at, step| Some(at?.get(step))).flatten() {
            value["examples"] = json!([example]);
        }
        value
    }
}

/// A line of the sample: what it says to watchdog, and what to people.
fn parted(line: &str) -> (&str, Option<&str>) {
    let mut quoted = false;
    for (at, letter) in line.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '#' if !quoted => return (line[..at].trim(), Some(line[at + 1..].trim())),
            _ => {}
        }
    }
    (line.trim(), None)
}

/// The JSON Schema (2020-12) of a file of the configuration, as TOML or as JSON with the same keys.
pub fn schema() -> Value {
    let (sketch, sample) = (Sketch::draw(), Sample::read());
    let name = match Form::text(values::name("").err()) {
        Form::Value(name, _) => name,
        Form::Table | Form::Tables => json!({}),
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of watchdog",
        "description": "/etc/watchdog/watchdog.toml, and each file of conf.d beside it. Examples are the defaults, for keys that have \
                        one. `watchdog check` says more: what several files together come to, and what will happen.",
        "type": "object",
        "properties": {
            "watchdog": sketch.table("watchdog", &sample),
            "service": {
                "description": "Each service by its name: [service.NAME]",
                "type": "object",
                "propertyNames": name,
                "additionalProperties": sketch.table("service.*", &sample),
            },
        },
        "additionalProperties": false,
    })
}
