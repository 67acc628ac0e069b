//! Small files in JSON, and what is found in the place of a file.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::folder::ModelFolder;
use crate::error::{Error, Result};

impl ModelFolder {
    /// Reads a file that holds a JSON object.
    ///
    /// # Errors
    /// As [`ModelFolder::read`], and [`Error::InvalidFile`] if the object is not as `T` wants it.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        self.parse_json(name, &self.read(name)?)
    }

    /// Reads a file that holds a JSON object, if the folder holds the file.
    ///
    /// # Errors
    /// As [`ModelFolder::read_json`], except that a missing file is `None`.
    pub fn read_json_optional<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.read_optional(name)?.map(|json| self.parse_json(name, &json)).transpose()
    }

    /// What `json` says, which was read from the file `name`.
    ///
    /// # Errors
    /// [`Error::InvalidFile`] if it is not an object as `T` wants it.
    pub fn parse_json<'json, T: Deserialize<'json>>(&self, name: &str, json: &'json [u8]) -> Result<T> {
        let reason = match serde_json::from_slice(json) {
            _ if json.trim_ascii_start().starts_with(b"[") => "it is not a JSON object".into(),
            Ok(value) => return Ok(value),
            Err(error) => match stand_in(json) {
                Some(found) => found.into(),
                None if error.is_data() => format!("it is not as it should be: {error}"),
                None => format!("it is not JSON: {error}"),
            },
        };
        Err(Error::InvalidFile { path: self.file_path(name), reason })
    }
}

/// What is in a file's place, by its first bytes. A download that fails can leave such a file.
pub(super) fn stand_in(bytes: &[u8]) -> Option<&'static str> {
    let found = match bytes.trim_ascii_start() {
        [] => "it is empty; get it once more",
        [b'<', ..] => "it is a web page, as a download leaves that failed; get the file once more",
        [0xef, 0xbb, 0xbf, ..] => "it begins with a byte order mark (BOM); save it as UTF-8 without one",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it is UTF-16; save it as UTF-8",
        [b'P', b'K', 3, 4, ..] => "it is a ZIP archive, such as PyTorch saves; get the model in safetensors",
        [b'G', b'G', b'U', b'F', ..] => "it is a GGUF file; get the model in safetensors",
        start if start.starts_with(b"version ") => {
            "it is a Git LFS pointer; fetch the file it stands for, for instance with git lfs pull"
        }
        _ => return None,
    };
    Some(found)
}
