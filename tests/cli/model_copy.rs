//! Model folders to damage.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A committed model folder.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A copy of a committed model folder, gone with this value.
pub struct ModelCopy(TempDir);

impl ModelCopy {
    pub fn of(name: &str) -> Self {
        let dir = tempfile::tempdir().expect("there is room for a folder");
        for entry in fs::read_dir(fixture(name)).expect("the fixture is there") {
            let path = entry.expect("the fixture can be listed").path();
            // Not fs::copy: it would copy a read-only mode, too.
            let contents = fs::read(&path).expect("the fixture can be read");
            fs::write(dir.path().join(path.file_name().unwrap_or_default()), contents).expect("a copy can be written");
        }
        Self(dir)
    }

    pub fn path(&self) -> &str {
        self.0.path().to_str().expect("temporary folders have plain names")
    }

    pub fn remove(self, file: &str) -> Self {
        fs::remove_file(self.0.path().join(file)).expect("the fixture has this file");
        self
    }

    pub fn edit(self, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let path = self.0.path().join(file);
        let mut contents = fs::read(&path).expect("the fixture has this file");
        change(&mut contents);
        fs::write(path, contents).expect("a copy can be written");
        self
    }

    pub fn edit_config(self, change: impl FnOnce(&mut Value)) -> Self {
        self.edit("config.json", |contents| {
            let mut config = serde_json::from_slice(contents).expect("config.json is JSON");
            change(&mut config);
            *contents = serde_json::to_vec(&config).expect("JSON can be written");
        })
    }

    /// Writes a text of the same length over the first place of another, such as a name in a binary file.
    pub fn overwrite(self, file: &str, old: &str, new: &str) -> Self {
        assert_eq!(old.len(), new.len());
        self.edit(file, |contents| {
            let at = contents.windows(old.len()).position(|window| window == old.as_bytes());
            let at = at.expect("the file holds this text");
            contents[at..at + new.len()].copy_from_slice(new.as_bytes());
        })
    }
}
