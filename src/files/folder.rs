//! A model folder: what `save_pretrained` writes, on disk or embedded in the binary.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::folder_file::FolderFile;
use crate::error::{Error, Result};

/// Most bytes of a file that is read whole (JSON, templates). The largest tokenizer.json in use has about 35 MB.
const MAX_WHOLE_FILE_BYTES: u64 = 256 << 20;

const A_MODEL_IS: &str = "a model is a folder with config.json, tokenizer.json and model.safetensors in it";

/// Where the files of a model are. Weights are read in pieces ([`ModelFolder::open_file`]); they are never mapped into
/// memory, because a file that shrinks while mapped kills the process.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    /// The folder, or the name that stands for an embedded one in messages.
    path: PathBuf,
    /// `(file name, contents)` of an embedded model.
    embedded: Option<&'static [(&'static str, &'static [u8])]>,
}

impl ModelFolder {
    /// A folder on disk.
    ///
    /// # Errors
    /// [`Error::ReadFile`] if it does not exist, [`Error::InvalidFile`] if it is no folder.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let metadata = fs::metadata(&path).map_err(|source| {
            let source = match source.kind() {
                io::ErrorKind::NotFound => {
                    let reason = format!("there is no such folder, and nothing is downloaded; {A_MODEL_IS}");
                    io::Error::new(io::ErrorKind::NotFound, reason)
                }
                _ => source,
            };
            Error::ReadFile { path: path.clone(), source }
        })?;
        if !metadata.is_dir() {
            return Err(Error::InvalidFile { path, reason: A_MODEL_IS.into() });
        }
        Ok(Self { path, embedded: None })
    }

    /// A folder in the binary: `(file name, contents)`. `name` stands for its path in messages.
    pub fn embedded(name: &str, files: &'static [(&'static str, &'static [u8])]) -> Self {
        Self { path: name.into(), embedded: Some(files) }
    }

    /// The folder itself, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it, for messages. The file need not exist.
    pub fn file_path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The names of what is in it, in order. Of a folder that cannot be listed none: whoever reads a file of it is told why.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = match self.embedded {
            Some(files) => files.iter().map(|(name, _)| (*name).to_owned()).collect(),
            None => {
                let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
                entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
            }
        };
        names.sort();
        names
    }

    /// Whether it holds a file of this name.
    pub fn contains(&self, name: &str) -> bool {
        match self.embedded {
            Some(files) => files.iter().any(|(file_name, _)| *file_name == name),
            None => is_plain_name(name) && self.file_path(name).is_file(),
        }
    }

    /// Opens a file of the folder. Links are followed, as a download cache consists of them.
    ///
    /// # Errors
    /// [`Error::ReadFile`] if it cannot be opened, [`Error::InvalidFile`] if `name` leads out of the folder.
    pub fn open_file(&self, name: &str) -> Result<FolderFile> {
        let path = self.file_path(name);
        if !is_plain_name(name) {
            let reason = "a file of a model folder is named without any folder".into();
            return Err(Error::InvalidFile { path, reason });
        }
        let opened = match self.embedded {
            Some(files) => files
                .iter()
                .find(|(file_name, _)| *file_name == name)
                .map(|(_, contents)| FolderFile::Embedded(contents))
                .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound)),
            None => File::open(&path).map(FolderFile::Disk),
        };
        opened.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => {
                let reason = format!("there is no such file; {A_MODEL_IS}");
                Error::ReadFile { path, source: io::Error::new(io::ErrorKind::NotFound, reason) }
            }
            _ => Error::ReadFile { path, source },
        })
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// As [`ModelFolder::open_file`], and [`Error::InvalidFile`] if it has more than 256 MiB.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        let mut contents = Vec::new();
        // One byte more than allowed tells a file at the limit from one above it. The length is not asked for: a pipe has
        // none.
        let read = match self.open_file(name)? {
            FolderFile::Disk(file) => file.take(MAX_WHOLE_FILE_BYTES + 1).read_to_end(&mut contents),
            FolderFile::Embedded(embedded) => embedded.take(MAX_WHOLE_FILE_BYTES + 1).read_to_end(&mut contents),
        };
        read.map_err(|source| Error::ReadFile { path: self.file_path(name), source })?;
        if contents.len() as u64 > MAX_WHOLE_FILE_BYTES {
            let reason = format!("it has more than {MAX_WHOLE_FILE_BYTES} bytes, too many for this kind of file");
            return Err(Error::InvalidFile { path: self.file_path(name), reason });
        }
        Ok(contents)
    }

    /// Reads a whole file if the folder holds it.
    ///
    /// # Errors
    /// As [`ModelFolder::read`], except that a missing file is `None`.
    pub fn read_optional(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match self.read(name) {
            Err(Error::ReadFile { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }
}

/// Whether `name` names a file of the folder itself. The shard index of a downloaded model is not to be trusted.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', ':', '\0'])
}
