//! Reads typed values out of a table and collects every fault on the way, so that one does not hide the next.
//!
//! Invariant: a value that is absent is `None` without a fault; one that is wrong is `None` with a fault. Deliberately absent:
//! defaults, which belong to the callers.

mod rules;

use std::{cell::RefCell, ops::RangeInclusive, time::Duration};

use super::{
    fault::{Fault, Place, Written},
    keys,
    sketch::{Form, Sketch},
    tree::{Entry, Node, Table, Value},
    values::{self, Complaint},
};

/// NUL fits nowhere: a parser's complaint about it says what it expects.
const NOWHERE: &str = "\0";
/// What a list of such values takes as a number, too.
const A_NUMBER: &str = "404";

/// What reading brought to light besides the values.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) faults: RefCell<Vec<Fault>>,
    pub(super) warnings: RefCell<Vec<Written>>,
    pub(super) checked_only: RefCell<Vec<(String, &'static str)>>,
    /// Nothing is read: what would be is written down here.
    pub(super) sketch: Option<RefCell<Sketch>>,
}

impl Log {
    pub(super) fn fault(&self, title: String, spots: Vec<(Place, String)>, help: &str) {
        self.faults.borrow_mut().push(Fault::Written(Written { title, spots, help: help.into() }));
    }

    pub(super) fn warn(&self, place: Place, title: String, help: &str) {
        let warning = Written { title, spots: vec![(place, String::new())], help: help.into() };
        self.warnings.borrow_mut().push(warning);
    }
}

/// One table being read.
pub(super) struct Reader<'a> {
    table: &'a Table,
    /// As people write it: `service.php.restart`.
    path: String,
    /// As `keys` knows it: `service.*.restart`.
    kind: String,
    /// The service it belongs to, for hints.
    service: &'a str,
    pub(super) log: &'a Log,
}

impl<'a> Reader<'a> {
    /// A whole file.
    pub(super) fn file(table: &'a Table, log: &'a Log) -> Reader<'a> {
        Reader::new(table, String::new(), String::new(), "NAME", log)
    }

    /// `[watchdog]`.
    pub(super) fn host(table: &'a Table, log: &'a Log) -> Reader<'a> {
        Reader::new(table, "watchdog".into(), "watchdog".into(), "NAME", log)
    }

    /// `[service.NAME]`.
    pub(super) fn service(name: &'a str, table: &'a Table, log: &'a Log) -> Reader<'a> {
        let path = if name.contains('.') { format!("service.{name:?}") } else { format!("service.{name}") };
        Reader::new(table, path, "service.*".into(), name, log)
    }

    /// Begins with a table, and tells of every key that it should not have.
    fn new(table: &'a Table, path: String, kind: String, service: &'a str, log: &'a Log) -> Reader<'a> {
        let known = keys::of(&kind);
        let reader = Reader { table, path, kind, service, log };
        let unknown =
            table.entries.iter().filter(|(name, _)| !known.is_empty() && !known.contains(&name.as_str()));
        unknown.for_each(|(name, entry)| reader.unknown(name, entry, known));
        for name in table.entries.keys() {
            let key = join(&reader.kind, name);
            if let Some((_, means)) = keys::CHECKED_ONLY.iter().find(|(known, _)| *known == key) {
                log.checked_only.borrow_mut().push((reader.path_of(name), means));
            }
        }
        reader
    }

    fn unknown(&self, name: &str, entry: &Entry, known: &'static [&'static str]) {
        let table = if self.path.is_empty() { "a configuration".into() } else { format!("[{}]", self.path) };
        let to_come = join(&self.kind, name);
        let (label, help) = if keys::TO_COME.contains(&to_come.as_str()) {
            ("not in this version yet".into(), "take it out: nothing would come of it".into())
        } else if self.kind == "service.*"
            && matches!(&entry.node.value, Value::Table(t) if t.entries.contains_key("unit"))
        {
            let whole = format!("[service.\"{}.{name}\"]", self.service);
            (format!("a name with a dot stands in quotes: {whole}"), String::new())
        } else if let Some(meant) = keys::meant(name, known.iter().copied()) {
            (format!("did you mean `{meant}`?"), String::new())
        } else if let Some(home) = keys::home(name).filter(|home| !home.is_empty()) {
            let home = home.replace('*', self.service);
            (format!("this key belongs into [{home}]"), String::new())
        } else {
            (String::from("no such key"), format!("{table} takes {}", known.join(", ")))
        };
        self.log.fault(format!("unknown key `{name}` in {table}"), vec![(entry.key.clone(), label)], &help);
    }

    /// Whether the key is there, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.entries.contains_key(key)
    }

    /// Where the table is opened.
    pub(super) fn opened(&self) -> Place {
        self.table.place.clone()
    }

    /// Where the value of a key stands; where the table is opened when the key is absent.
    pub(super) fn place(&self, key: &str) -> Place {
        self.entry(key).map_or_else(|| self.opened(), |entry| entry.node.place.clone())
    }

    /// Where a key stands; where the table is opened when it is absent.
    pub(super) fn key_place(&self, key: &str) -> Place {
        self.entry(key).map_or_else(|| self.opened(), |entry| entry.key.clone())
    }

    /// The dotted path of a key, for people.
    pub(super) fn path_of(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Every key of this table, which may have any, in the order of the file.
    pub(super) fn names(&self) -> Vec<&'a str> {
        if self.log.sketch.is_some() {
            return vec![Sketch::ANY];
        }
        let mut names: Vec<_> = self.table.entries.iter().collect();
        names.sort_by_key(|(_, entry)| entry.key.order());
        names.into_iter().map(|(name, _)| name.as_str()).collect()
    }

    fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.table.entries.get(key)
    }

    /// The key as it is written; first, what may stand there is written down where somebody asks for that.
    fn asked(&self, key: &str, form: impl FnOnce() -> Form) -> Option<&'a Entry> {
        if let Some(sketch) = &self.log.sketch {
            sketch.borrow_mut().key(&self.kind, key, form());
        }
        self.entry(key)
    }

    /// Whether all is only written down: then this, too.
    fn is_sketched(&self, key: &str, form: Form) -> bool {
        self.asked(key, || form);
        self.log.sketch.is_some()
    }

    /// A fault of the value of `key`.
    pub(super) fn complain(&self, key: &str, complaint: &Complaint) {
        self.complain_at(&self.place(key), key, complaint);
    }

    fn complain_at(&self, place: &Place, key: &str, complaint: &Complaint) {
        let title = format!("cannot use this value of `{}`", self.path_of(key));
        self.log.fault(title, vec![(place.clone(), complaint.expected.clone())], &complaint.help);
    }

    fn wrong_kind(&self, node: &Node, key: &str, expected: &str, help: &str) {
        let expected = format!("expected {expected}, found {}", node.value.kind());
        self.complain_at(&node.place, key, &Complaint::new(expected, help));
    }

    /// A text, put through `parse`.
    pub(super) fn text<T>(&self, key: &str, parse: impl FnOnce(&str) -> Result<T, Complaint>) -> Option<T> {
        if self.log.sketch.is_some() {
            self.is_sketched(key, Form::text(parse(NOWHERE).err()));
            return None;
        }
        let entry = self.entry(key)?;
        let Value::Text(text) = &entry.node.value else {
            let complaint = parse(NOWHERE).err().unwrap_or_else(|| Complaint::new("expected a text", ""));
            let expected = format!("{}, found {}", complaint.expected, entry.node.value.kind());
            self.complain(key, &Complaint { expected, ..complaint });
            return None;
        };
        parse(text).map_err(|complaint| self.complain(key, &complaint)).ok()
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, key: &str, words: &[(&'static str, T)]) -> Option<T> {
        self.text(key, |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, meaning)| *meaning).ok_or_else(|| {
                let all: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
                Complaint::new(format!("expected {}", all.join(" or ")), "")
                    .words(words.iter().map(|(word, _)| *word).collect())
            })
        })
    }

    /// A duration within limits.
    pub(super) fn duration(&self, key: &str, limits: RangeInclusive<Duration>) -> Option<Duration> {
        let from_to = || format!("from {} to {}", values::say(*limits.start()), values::say(*limits.end()));
        let entry =
            self.asked(key, || Form::text(values::duration(NOWHERE, &limits).err()).noting(&from_to()))?;
        if let Value::Integer(n) = entry.node.value {
            let help = format!("a number needs a unit: \"{n}s\" for seconds, \"{n}ms\" for milliseconds");
            self.wrong_kind(&entry.node, key, "a duration in quotes", &help);
            return None;
        }
        self.text(key, |text| values::duration(text, &limits))
    }

    /// A whole number within limits.
    pub(super) fn count(&self, key: &str, limits: RangeInclusive<u32>) -> Option<u32> {
        let entry = self.asked(key, || Form::count(&limits))?;
        let expected = format!("a whole number from {} to {}", limits.start(), limits.end());
        let Value::Integer(n) = entry.node.value else {
            self.wrong_kind(&entry.node, key, &expected, "");
            return None;
        };
        let fits = u32::try_from(n).ok().filter(|n| limits.contains(n));
        if fits.is_none() {
            self.complain(key, &Complaint::new(format!("expected {expected}"), ""));
        }
        fits
    }

    /// A share, above 0 and at most 1.
    pub(super) fn share(&self, key: &str) -> Option<f64> {
        let entry = self.asked(key, Form::share)?;
        let share = match entry.node.value {
            Value::Float(n) => n,
            Value::Integer(1) => 1.0,
            Value::Integer(_) => f64::NAN,
            Value::Text(_) | Value::Flag(_) | Value::Date | Value::List(_) | Value::Table(_) => {
                self.wrong_kind(&entry.node, key, "a share such as 0.5", "");
                return None;
            }
        };
        if share > 0.0 && share <= 1.0 {
            return Some(share);
        }
        self.complain(key, &Complaint::new("expected a share above 0 and at most 1", "0.5 is one half"));
        None
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        let entry = self.asked(key, Form::flag)?;
        if let Value::Flag(flag) = entry.node.value {
            return Some(flag);
        }
        self.wrong_kind(&entry.node, key, "true or false", "without quotes");
        None
    }

    /// A list of texts (or numbers, which are taken as they are written), each put through `parse`, with their places.
    pub(super) fn list<T>(
        &self,
        key: &str,
        item: &str,
        mut parse: impl FnMut(&str) -> Result<T, Complaint>,
    ) -> Option<Vec<(T, Place)>> {
        let entry = self.asked(key, || Form::list(item, parse(NOWHERE).err(), parse(A_NUMBER).is_ok()))?;
        let Value::List(nodes) = &entry.node.value else {
            self.wrong_kind(&entry.node, key, &format!("a list of {item}"), "put it in brackets: [\"…\"]");
            return None;
        };
        let mut one = |node: &Node| {
            let text = match &node.value {
                Value::Text(text) => text.clone(),
                Value::Integer(n) => n.to_string(),
                Value::Float(_) | Value::Flag(_) | Value::Date | Value::List(_) | Value::Table(_) => {
                    self.wrong_kind(node, key, "a text", &format!("this is a list of {item}"));
                    return None;
                }
            };
            let parsed = parse(&text).map_err(|complaint| self.complain_at(&node.place, key, &complaint));
            parsed.ok().map(|value| (value, node.place.clone()))
        };
        let items: Vec<_> = nodes.iter().map(&mut one).collect();
        items.into_iter().collect()
    }

    /// A program and its arguments.
    pub(super) fn argv(&self, key: &str) -> Option<Vec<String>> {
        if self.is_sketched(key, Form::argv()) {
            return None;
        }
        let argv = self.list(key, "a program and its arguments", |text| {
            if text.contains('\0') {
                Err(Complaint::new("expected a text without NUL", ""))
            } else {
                Ok(text.to_owned())
            }
        })?;
        let argv: Vec<String> = argv.into_iter().map(|(text, _)| text).collect();
        if argv.first().is_some_and(|program| program.starts_with('/')) {
            return Some(argv);
        }
        let complaint = Complaint::new(
            "expected the full path of a program, then its arguments",
            "such as [\"/usr/sbin/nginx\", \"-t\"]; there is no shell and no PATH here",
        );
        self.complain(key, &complaint);
        None
    }

    /// A table below this one.
    pub(super) fn table(&self, key: &str) -> Option<Reader<'a>> {
        if self.is_sketched(key, Form::Table) {
            return Some(self.below(self.table, key));
        }
        let entry = self.entry(key)?;
        let Value::Table(table) = &entry.node.value else {
            self.wrong_kind(
                &entry.node,
                key,
                "a table",
                &format!("write [{}] on a line of its own", self.path_of(key)),
            );
            return None;
        };
        Some(self.below(table, key))
    }

    /// A table below this one, or several: `[[…]]`.
    pub(super) fn tables(&self, key: &str) -> Vec<Reader<'a>> {
        if self.is_sketched(key, Form::Tables) {
            return vec![self.below(self.table, key)];
        }
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let nodes = match &entry.node.value {
            Value::List(nodes) => nodes.as_slice(),
            Value::Table(_)
            | Value::Text(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Flag(_)
            | Value::Date => std::slice::from_ref(&entry.node),
        };
        let one = |node: &'a Node| match &node.value {
            Value::Table(table) => Some(self.below(table, key)),
            Value::Text(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Flag(_)
            | Value::Date
            | Value::List(_) => {
                let path = self.path_of(key);
                self.wrong_kind(
                    node,
                    key,
                    "a table",
                    &format!("write [{path}], or [[{path}]] for each of several"),
                );
                None
            }
        };
        nodes.iter().filter_map(one).collect()
    }

    fn below(&self, table: &'a Table, key: &str) -> Reader<'a> {
        Reader::new(table, self.path_of(key), join(&self.kind, key), self.service, self.log)
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.into() } else { format!("{path}.{key}") }
}
