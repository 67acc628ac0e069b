//! A file that is to be written at the end of something long, and is known to be one that can be before it.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// A file that can be written. If no run begins, it is as it was: what was in it, or no file.
pub struct OpenFile {
    file: Option<File>,
    path: PathBuf,
    is_new: bool,
}

impl OpenFile {
    /// Opens a file for the option of this name.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if there can be no such file.
    pub fn new(option: &'static str, path: &Path) -> Result<Self> {
        let open = |is_new| File::options().write(true).create_new(is_new).open(path);
        let opened = open(true).map(|file| (file, true)).or_else(|_| open(false).map(|file| (file, false)));
        let (file, is_new) = opened.map_err(|error| {
            let (value, reason) = (path.display().to_string(), format!("it cannot be written: {error}"));
            Error::InvalidOption { option, value, reason }
        })?;
        Ok(Self { file: Some(file), path: path.to_path_buf(), is_new })
    }

    /// The file, empty.
    ///
    /// # Errors
    /// [`Error::WriteFile`]
    pub fn begin(mut self) -> Result<(BufWriter<File>, PathBuf)> {
        let path = self.path.clone();
        let unwritable = |source| Error::WriteFile { path: path.clone(), source };
        let file = self.file.take().ok_or_else(|| unwritable(std::io::Error::other("it was begun before")))?;
        // A pipe has no length.
        if file.metadata().map_err(unwritable)?.is_file() {
            file.set_len(0).map_err(unwritable)?;
        }
        Ok((BufWriter::new(file), path))
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if self.file.is_some() && self.is_new {
            // It is empty, and nobody asked for an empty file; if it cannot go, that does no harm.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
