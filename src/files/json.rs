//! Small files in JSON, and what is found in the place of a file.

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

    fn parse_json<T: DeserializeOwned>(&self, name: &str, json: &[u8]) -> Result<T> {
        let is_object = json.trim_ascii_start().starts_with(b"{");
        let reason = match serde_json::from_slice(json) {
            // A list would do for a struct, too: its elements would be taken for the fields in turn.
            Ok(value) if is_object => return Ok(value),
            Err(error) if is_object && error.is_data() => {
                format!("something in it is missing or of the wrong kind: {error}")
            }
            Err(error) if is_object => format!("it is not JSON: {error}"),
            _ => stand_in(json).unwrap_or("it is not a JSON object").into(),
        };
        Err(Error::InvalidFile { path: self.file_path(name), reason })
    }
}

/// What is in a file's place, by its first bytes. A download that fails can leave such a file.
pub(super) fn stand_in(bytes: &[u8]) -> Option<&'static str> {
    let found = match bytes.trim_ascii_start() {
        [] => "it is empty; download it again",
        [b'<', ..] => "it is a web page, which a failed download leaves; download the file again",
        [0xef, 0xbb, 0xbf, ..] => "it begins with a byte order mark (BOM); save it as UTF-8 without one",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it is UTF-16; save it as UTF-8",
        [b'P', b'K', 3, 4, ..] => "it is a ZIP archive, such as PyTorch saves weights in; only safetensors are read",
        [b'G', b'G', b'U', b'F', ..] => "it is a GGUF file; only safetensors are read",
        start if start.starts_with(b"version ") => {
            "it is a Git LFS pointer; fetch the file it stands for, for instance with git lfs pull"
        }
        _ => return None,
    };
    Some(found)
}
