//! An open file that is read at positions.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// An open file of a model folder.
///
/// Its functions are async for the sake of files that are not at hand; those below are, and never wait. A file that a
/// browser fetches is one more case.
#[derive(Debug)]
pub enum FolderFile {
    /// On disk.
    Disk(File),
    /// In the binary.
    Embedded(&'static [u8]),
}

impl FolderFile {
    /// Its length in bytes.
    ///
    /// # Errors
    /// Whatever the operating system reports.
    pub async fn len_bytes(&self) -> io::Result<u64> {
        match self {
            Self::Disk(file) => Ok(file.metadata()?.len()),
            Self::Embedded(contents) => Ok(contents.len() as u64),
        }
    }

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before; else whatever the operating system reports.
    pub async fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Disk(file) => {
                file.seek(SeekFrom::Start(offset))?;
                file.read_exact(buffer)
            }
            Self::Embedded(contents) => {
                let from = usize::try_from(offset).ok().and_then(|offset| contents.get(offset..));
                from.unwrap_or_default().read_exact(buffer)
            }
        }
    }
}
