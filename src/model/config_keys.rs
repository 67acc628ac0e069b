//! Typed access to the keys of a JSON object, with errors that name file, key and value.

use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::files::ModelFolder;

/// Most positions of a model. More is a typing error or an attack.
pub(super) const MAX_POSITIONS: usize = 1 << 24;

/// A JSON object of a model folder.
pub(super) struct Keys {
    path: PathBuf,
    /// Where the object is in the file: empty for the file itself, else `rope_scaling.`.
    prefix: String,
    map: Map<String, Value>,
}

impl Keys {
    /// Reads a file that must be there.
    pub(super) fn open(folder: &ModelFolder, name: &str) -> Result<Self> {
        Ok(Self { path: folder.file_path(name), prefix: String::new(), map: folder.read_json(name)? })
    }

    /// Reads a file if it is there.
    pub(super) fn open_optional(folder: &ModelFolder, name: &str) -> Result<Option<Self>> {
        let map = folder.read_json_optional(name)?;
        Ok(map.map(|map| Self { path: folder.file_path(name), prefix: String::new(), map }))
    }

    /// The error that `key` has a value that cannot work; `supported` says which values do.
    pub(super) fn refuse(&self, key: &str, supported: &str) -> Error {
        let Self { path, prefix, .. } = self;
        let reason = match self.map.get(key) {
            Some(value) => format!("{prefix}{key} is {}; {supported}", shorten(value)),
            None => format!("{prefix}{key} is missing; {supported}"),
        };
        Error::InvalidFile { path: path.clone(), reason }
    }

    /// One error of several about this file.
    pub(super) fn join(&self, errors: Vec<Error>) -> Error {
        let reasons = errors.into_iter().map(|error| match error {
            Error::InvalidFile { reason, .. } => reason,
            other => other.to_string(),
        });
        Error::InvalidFile { path: self.path.clone(), reason: reasons.collect::<Vec<_>>().join("; ") }
    }

    /// The value of `key`: `None` where it is missing or null.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Whether `key` is there, be it null.
    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// A count from 1 to `max`, or `None` where it is missing or null.
    pub(super) fn count(&self, key: &str, max: usize) -> Result<Option<usize>> {
        self.integer(key, 1, max)
    }

    /// A count from 0 to `max`, or `None` where it is missing or null.
    pub(super) fn count_or_zero(&self, key: &str, max: usize) -> Result<Option<usize>> {
        self.integer(key, 0, max)
    }

    fn integer(&self, key: &str, min: usize, max: usize) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let integer = value.as_u64().and_then(|integer| usize::try_from(integer).ok());
        let integer = integer.filter(|integer| (min..=max).contains(integer));
        integer.map(Some).ok_or_else(|| self.refuse(key, &format!("use a number from {min} to {max}")))
    }

    /// A finite number above 0, or `None` where it is missing or null.
    pub(super) fn positive(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = value.as_f64().filter(|number| number.is_finite() && *number > 0.0);
        number.map(Some).ok_or_else(|| self.refuse(key, "use a number above 0"))
    }

    /// A list of finite numbers above 0, or `None` where it is missing or null.
    pub(super) fn positives(&self, key: &str) -> Result<Option<Vec<f64>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = |value: &Value| value.as_f64().filter(|number| number.is_finite() && *number > 0.0);
        let numbers = value.as_array().and_then(|values| values.iter().map(number).collect());
        numbers.map(Some).ok_or_else(|| self.refuse(key, "use a list of numbers above 0"))
    }

    /// True or false; `default` where it is missing or null.
    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.refuse(key, "use true or false"))
    }

    /// A text, or `None` where it is missing or null.
    pub(super) fn text(&self, key: &str) -> Result<Option<&str>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.refuse(key, "use a text"))
    }

    /// A token id or a list of them, or `None` where it is missing or null.
    pub(super) fn token_ids(&self, key: &str) -> Result<Option<Vec<u32>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let ids: Option<Vec<u32>> = values.iter().map(id).collect();
        ids.map(Some).ok_or_else(|| self.refuse(key, "use a token id or a list of token ids"))
    }

    /// The object at `key`, or `None` where it is missing, null or empty.
    pub(super) fn object(&self, key: &str) -> Result<Option<Self>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(map)) if map.is_empty() => Ok(None),
            Some(Value::Object(map)) => {
                let prefix = format!("{}{key}.", self.prefix);
                Ok(Some(Self { path: self.path.clone(), prefix, map: map.clone() }))
            }
            Some(_) => Err(self.refuse(key, "use an object")),
        }
    }

    /// The first key whose value is itself an object.
    pub(super) fn nested_key(&self) -> Option<&str> {
        self.map.iter().find(|(_, value)| value.is_object()).map(|(key, _)| key.as_str())
    }
}

/// A value as JSON, cut where it is long: it ends up in a one-line message.
fn shorten(value: &Value) -> String {
    let json = value.to_string();
    match json.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &json[..end]),
        None => json,
    }
}
