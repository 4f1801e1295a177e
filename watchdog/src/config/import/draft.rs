use std::time::Duration;

use super::{
    super::values::{self, YEAR},
    At,
};

/// One key and its value, as TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) value: String,
    /// The statement that asks for it.
    pub(super) at: Option<At>,
}

/// One table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) keys: Vec<Key>,
    /// Comments above it, without their sign.
    pub(super) notes: Vec<String>,
}

impl Section {
    /// Sets a key, unless another statement has set it; answers whether it has this value now.
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<String>, at: At) -> bool {
        let value = value.into();
        match self.keys.iter().find(|key| key.name == name) {
            Some(key) => key.value == value,
            None => {
                self.keys.push(Key { name, value, at: Some(at) });
                true
            }
        }
    }

    /// The same keys and values, whoever asks for them.
    pub(super) fn says_the_same(&self, other: &Section) -> bool {
        let pairs = |section: &Section| -> Vec<_> {
            section.keys.iter().map(|key| (key.name, key.value.clone())).collect()
        };
        pairs(self) == pairs(other)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.keys.iter().find(|key| key.name == name).map(|key| key.value.as_str())
    }
}

/// One `[service.NAME]` on its way to TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) fill_in: Vec<String>,
    /// The checks that it is made of.
    pub(super) opened: Vec<At>,
    pub(super) main: Section,
    pub(super) beats: Vec<Section>,
    pub(super) logs: Vec<Section>,
    pub(super) restart: Section,
    /// Names of services and units, with the statement that names each.
    pub(super) depends_on: Vec<(String, At)>,
}

/// A text as TOML: JSON's escapes are TOML's, but for one character.
pub(super) fn text(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.replace('\u{7f}', "\\u007F")
}

/// A length of time as TOML.
pub(super) fn seconds(seconds: u64) -> String {
    text(&values::say(Duration::from_secs(seconds.min(YEAR.as_secs()))))
}

/// The same in milliseconds.
pub(super) fn milliseconds(milliseconds: u64) -> String {
    text(&values::say(Duration::from_millis(milliseconds).min(YEAR)))
}

/// A name as services and groups may have it; one that began with a hyphen would be taken for an option by commands.
pub(super) fn name(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name: String = text.chars().map(|c| if fits(c) { c } else { '-' }).collect();
    let name: String = name.trim_start_matches('-').chars().take(60).collect();
    if name.is_empty() { "service".into() } else { name }
}
