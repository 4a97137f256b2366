//! Values for a template's parameters.

use std::collections::BTreeMap;

/// Values for the parameters of a template, as text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values(pub(super) BTreeMap<String, String>);

impl Values {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With `name` set to `value`; a later value replaces an earlier one.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.insert(name, value);
        self
    }

    /// Sets `name` to `value`, in place of what it was.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// What `name` was set to.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}
