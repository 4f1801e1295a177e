//! What is asked of keys of one table beside their values: that they are there, or not beside each other.

use serde_json::json;

use super::Reader;

impl Reader<'_> {
    /// A key that must not stand beside another.
    pub(in crate::config) fn forbid(&self, key: &str, beside: &str, help: &str) {
        self.rule(|| json!({ "not": { "required": [key, beside] } }));
        if let (Some(entry), Some(other)) = (self.entry(key), self.entry(beside)) {
            let spots =
                vec![(entry.key.clone(), "this one".into()), (other.key.clone(), "and this one".into())];
            self.log.fault(format!("`{key}` and `{beside}` do not go together"), spots, help);
        }
    }

    /// A key that must be there.
    pub(in crate::config) fn require(&self, key: &str, help: &str) {
        self.rule(|| json!({ "required": [key] }));
        self.lacks(key, help);
    }

    /// One of two keys must be there; the first is the usual one.
    pub(in crate::config) fn require_one(&self, key: &str, or: &str, help: &str) {
        self.rule(|| json!({ "anyOf": [{ "required": [key] }, { "required": [or] }] }));
        if !self.has(or) {
            self.lacks(key, help);
        }
    }

    /// A key that does not stand alone.
    pub(in crate::config) fn together(&self, key: &str, with: &str) {
        self.rule(|| json!({ "dependentRequired": { (key): [with] } }));
        if self.has(key) && !self.has(with) {
            let spots = vec![(self.key_place(key), format!("`{with}` belongs to it"))];
            self.log.fault(format!("`{}` stands alone", self.path_of(key)), spots, "");
        }
    }

    fn lacks(&self, key: &str, help: &str) {
        if !self.has(key) {
            let title = format!("[{}] has no `{key}`", self.path);
            self.log.fault(title, vec![(self.opened(), "in this table".into())], help);
        }
    }

    fn rule(&self, rule: impl FnOnce() -> serde_json::Value) {
        if let Some(sketch) = &self.log.sketch {
            sketch.borrow_mut().rule(&self.kind, rule());
        }
    }
}
