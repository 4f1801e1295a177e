//! The JSON Schema of a line: the envelope, and for each type what its `data` holds.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::SCHEMA_VERSION;
use crate::model::{Act, Answer, Audit, Command, Fact, Loss, Notified, Outcome, Sign, Suspicion, Tell};

/// Every type, and what its data holds.
const KINDS: [(&str, Data); 31] = [
    ("watchdog.sign.exit", Data::Sign("exit")),
    ("watchdog.sign.signal", Data::Sign("signal_sent")),
    ("watchdog.sign.listener_up", Data::Sign("listener_up")),
    ("watchdog.sign.listener_down", Data::Sign("listener_down")),
    ("watchdog.sign.accept_stall", Data::Sign("accept_stall")),
    ("watchdog.sign.answer_stall", Data::Sign("answer_stall")),
    ("watchdog.sign.stall_over", Data::Sign("stall_over")),
    ("watchdog.sign.in_use", Data::Sign("in_use")),
    ("watchdog.sign.oom_kill", Data::Sign("oom_kill")),
    ("watchdog.sign.server_errors", Data::Sign("server_errors")),
    ("watchdog.sign.log_errors", Data::Sign("log_errors")),
    ("watchdog.sign.unix_stall", Data::Sign("unix_stall")),
    ("watchdog.sign.command_run", Data::Sign("command_run")),
    ("watchdog.sign.serving", Data::Sign("serving")),
    ("watchdog.sign.unit", Data::Sign("unit")),
    ("watchdog.sign.job", Data::Sign("job")),
    ("watchdog.sign.listeners", Data::Sign("listeners")),
    ("watchdog.sign.loss", Data::Sign("loss")),
    ("watchdog.sign.working", Data::Sign("working")),
    ("watchdog.fact", Data::Fact),
    ("watchdog.command", Data::Command),
    ("watchdog.suspicion", Data::Suspicion),
    ("watchdog.heartbeat", Data::Heartbeat),
    ("watchdog.decision", Data::Decision),
    ("watchdog.recovered", Data::Decision),
    ("watchdog.quarantined", Data::Decision),
    ("watchdog.action", Data::Action),
    ("watchdog.outcome", Data::Outcome),
    ("watchdog.notified", Data::Notified),
    ("watchdog.loss", Data::Loss),
    ("watchdog.state", Data::State),
];

#[derive(Clone, Copy)]
enum Data {
    Sign(&'static str),
    Fact,
    Command,
    Suspicion,
    Heartbeat,
    Decision,
    Action,
    Outcome,
    Notified,
    Loss,
    State,
}

/// The JSON Schema (2020-12) of one line of the event stream.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let lines: Vec<Value> = KINDS
        .iter()
        .map(|(kind, data)| {
            json!({"properties": {"type": {"const": kind}, "data": data.schema(&mut generator)}})
        })
        .collect();
    let kinds: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of watchdog's event stream",
        "description": "A CloudEvents envelope with one thing that watchdog saw, asked, decided or did.",
        "type": "object",
        "required": ["specversion", "id", "source", "type", "time", "schemaversion", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "description": "Unique for its source: the run of watchdog and a number."},
            "source": {"type": "string", "description": "watchdog/HOST."},
            "type": {"enum": kinds},
            "subject": {"type": "string", "description": "The service; absent for what concerns the host."},
            "time": {"type": "string", "format": "date-time"},
            "schemaversion": {"const": SCHEMA_VERSION},
            "data": {"type": "object"},
        },
        "additionalProperties": false,
        "oneOf": lines,
        "$defs": generator.take_definitions(true),
    })
}

impl Data {
    fn schema(self, generator: &mut SchemaGenerator) -> Value {
        match self {
            Data::Sign(saw) => {
                let mut data = inside::<Sign>(generator);
                data["properties"]["saw"] =
                    json!({"allOf": [data["properties"]["saw"].take(), {"required": [saw]}]});
                data
            }
            Data::Fact => inside::<Fact>(generator),
            Data::Command => {
                let command = json!({"command": generator.subschema_for::<Command>()});
                let request = json!({"request": generator.subschema_for::<Audit>()});
                json!({"oneOf": [closed(command, &["command"]), closed(request, &["request"])]})
            }
            Data::Suspicion => inside::<Suspicion>(generator),
            Data::Heartbeat => inside::<Answer>(generator),
            Data::Decision => inside::<Tell>(generator),
            Data::Action => inside::<Act>(generator),
            Data::Outcome => inside::<Outcome>(generator),
            Data::Notified => inside::<Notified>(generator),
            Data::Loss => inside::<Loss>(generator),
            Data::State => closed(json!({"state": {"type": "object"}}), &["state"]),
        }
    }
}

/// A word of the model as `data` holds it: the line's subject is the service, and what is not known is left out.
fn inside<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    let mut schema = T::json_schema(generator).to_value();
    let mut properties = schema["properties"].take();
    if let Some(properties) = properties.as_object_mut() {
        properties.remove("service");
    }
    let required: Vec<String> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str())
        .filter(|name| *name != "service")
        .map(str::to_owned)
        .collect();
    let required: Vec<&str> = required.iter().map(String::as_str).collect();
    closed(properties, &required)
}

/// With what every record may say beside its word, and nothing else.
fn closed(properties: Value, required: &[&str]) -> Value {
    let number = |means: &str| json!({"type": "integer", "minimum": 0, "description": means});
    let text = |means: &str| json!({"type": "string", "description": means});
    let mut all: Map<String, Value> = [
        ("mono_us", number("When, in microseconds of CLOCK_MONOTONIC.")),
        ("taken_us", number("When the policy took it, where it is one of its inputs.")),
        ("unit", text("The systemd unit.")),
        ("incarnation", text("systemd's InvocationID of the unit's run.")),
        ("incident", text("The incident, RUN-NUMBER.")),
        ("process.pid", number("Of the process that it is about.")),
        ("process.command", text("Its name.")),
        ("process.exit.code", number("With which it ended.")),
        ("server.port", number("The local port.")),
        ("http.response.status_code", number("Of the answer.")),
        ("log.file.path", text("The log.")),
    ]
    .into_iter()
    .map(|(name, schema)| (name.to_owned(), schema))
    .collect();
    if let Value::Object(properties) = properties {
        all.extend(properties);
    }
    let required: Vec<&str> =
        ["mono_us"].into_iter().chain(required.iter().copied().filter(|name| *name != "mono_us")).collect();
    json!({"type": "object", "properties": all, "required": required, "additionalProperties": false})
}
