//! The first two stages: each file as a tree whose every value knows its place, and all trees merged into one.
//!
//! Invariant: nothing is checked here but that TOML is TOML and that nothing is said twice.

use std::{collections::BTreeMap, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::fault::{Fault, Place, Source, Written};

/// Of a file that is no TOML at all, the first faults say enough.
const MOST_SYNTAX_FAULTS: usize = 10;

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// The kinds of TOML.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i128),
    Float(f64),
    Flag(bool),
    Date,
    List(Vec<Node>),
    Table(Table),
}

/// A table; `place` is where it is opened.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) place: Place,
    pub(super) entries: BTreeMap<String, Entry>,
}

/// A key with its place, and what it says.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Place,
    pub(super) node: Node,
}

/// All fragments as one. Services are a list: one that is named twice is read twice, so that every fault is found.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) host: Option<Table>,
    pub(super) services: Vec<(String, Entry)>,
    /// Keys of `[watchdog]` that are said twice.
    pub(super) faults: Vec<Fault>,
}

impl Value {
    /// What it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a text",
            Value::Integer(_) => "a number",
            Value::Float(_) => "a decimal number",
            Value::Flag(_) => "true or false",
            Value::Date => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

/// Reads one file: what could be understood, and every fault of its syntax.
pub(super) fn fragment(file: usize, source: &Source) -> (Table, Vec<Fault>) {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    let fault = |error: &toml::de::Error| {
        let span = error.span().unwrap_or(0..0);
        Fault::Written(Written {
            title: "cannot read this as TOML".into(),
            spots: vec![(Place { file, span }, error.message().to_owned())],
            help: syntax_help(error.message()),
        })
    };
    let table = Table { place: Place { file, span: 0..0 }, entries: entries(file, table.into_inner()) };
    (table, errors.iter().take(MOST_SYNTAX_FAULTS).map(fault).collect())
}

fn syntax_help(message: &str) -> String {
    match message {
        m if m.starts_with("duplicate key") => "say it once; several heartbeats are [[service.NAME.heartbeat]]".into(),
        _ => "texts stand in quotes, and a table's name in brackets; other faults of this file show when this one is mended"
            .into(),
    }
}

fn entries(file: usize, table: DeTable<'_>) -> BTreeMap<String, Entry> {
    let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'_>>)| {
        let place = Place { file, span: key.span() };
        let name: std::borrow::Cow<'_, str> = key.into_inner();
        let node = node(file, value, &place.span);
        (name.into_owned(), Entry { key: place, node })
    };
    table.into_iter().map(entry).collect()
}

fn node(file: usize, value: Spanned<DeValue<'_>>, key: &Range<usize>) -> Node {
    let place = Place { file, span: value.span() };
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(n) => {
            Value::Integer(i128::from_str_radix(n.as_str(), n.radix()).unwrap_or(i128::MAX))
        }
        DeValue::Float(n) => Value::Float(n.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(list) => Value::List(list.into_iter().map(|item| node(file, item, key)).collect()),
        DeValue::Table(table) => {
            let place = Place { file, span: key.clone() };
            Value::Table(Table { place, entries: entries(file, table) })
        }
    };
    Node { value, place }
}

/// Puts the fragments together, in their order. Of what `[watchdog]` says twice, the first stays.
pub(super) fn merge(fragments: Vec<Table>) -> Merged {
    let mut merged = Merged::default();
    for (name, entry) in fragments.into_iter().flat_map(|fragment| fragment.entries) {
        match (name.as_str(), entry.node.value) {
            ("service", Value::Table(services)) => merged.services.extend(services.entries),
            ("watchdog", Value::Table(host)) => match &mut merged.host {
                None => merged.host = Some(host),
                Some(whole) => unite("watchdog", whole, host, &mut merged.faults),
            },
            _ => {} // the reader of each fragment has told of it
        }
    }
    merged
}

/// Where this table holds what must not be shown: headers that carry secrets, URLs with a password.
pub(super) fn secrets(table: &Table) -> Vec<Place> {
    fn of_node(parent: &str, name: &str, node: &Node, found: &mut Vec<Place>) {
        match &node.value {
            Value::Text(text) => {
                let password = text.contains("://") && text.contains('@');
                let of_webhook = parent == "webhook" && name == "url"; // its path is often the secret
                if password || of_webhook || parent == "headers" && is_secret_header(name) {
                    found.push(node.place.clone());
                }
            }
            Value::Table(table) => {
                table.entries.iter().for_each(|(below, entry)| of_node(name, below, &entry.node, found));
            }
            Value::List(nodes) => nodes.iter().for_each(|node| of_node(parent, name, node, found)),
            Value::Integer(_) | Value::Float(_) | Value::Flag(_) | Value::Date => {}
        }
    }
    let mut found = Vec::new();
    table.entries.iter().for_each(|(name, entry)| of_node("", name, &entry.node, &mut found));
    found
}

/// Whether a header of this name carries a secret.
pub(super) fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey"]
        .iter()
        .any(|word| name.contains(word))
}

fn unite(path: &str, whole: &mut Table, more: Table, faults: &mut Vec<Fault>) {
    for (name, entry) in more.entries {
        let path = format!("{path}.{name}");
        match whole.entries.get_mut(&name) {
            None => {
                whole.entries.insert(name, entry);
            }
            Some(Entry { node: Node { value: Value::Table(old), .. }, .. })
                if matches!(entry.node.value, Value::Table(_)) =>
            {
                if let Value::Table(new) = entry.node.value {
                    unite(&path, old, new, faults);
                }
            }
            Some(old) => faults.push(twice(
                &format!("`{path}` is set twice"),
                &old.key,
                &entry.key,
                "keep one of them",
            )),
        }
    }
}

/// Something is said in two places.
pub(super) fn twice(title: &str, first: &Place, second: &Place, help: &str) -> Fault {
    Fault::Written(Written {
        title: title.into(),
        spots: vec![(second.clone(), "here again".into()), (first.clone(), "first here".into())],
        help: help.into(),
    })
}
