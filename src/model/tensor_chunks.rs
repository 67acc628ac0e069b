//! A tensor read from disk in pieces of bounded size, each converted to f32.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorInfo};

use super::folder::FolderFile;
use crate::error::{Error, Result};

/// Reads one tensor front to back.
#[derive(Debug)]
pub struct TensorChunks {
    file: FolderFile,
    path: PathBuf,
    dtype: Dtype,
    /// The tensor's elements.
    num_elems: usize,
    /// The next element to read.
    next_elem: usize,
    /// The current chunk.
    elems: Vec<f32>,
    /// The current chunk as stored, unless it is stored as f32.
    halves: Vec<u16>,
}

impl TensorChunks {
    /// Goes to the tensor that `info` describes, in a file whose first tensor begins at byte `data_start`. The caller
    /// has checked the dtype.
    pub(super) fn open(
        mut file: FolderFile,
        path: PathBuf,
        data_start: u64,
        info: &TensorInfo,
        chunk_elems: usize,
    ) -> Result<Self> {
        let sought = file.seek(SeekFrom::Start(data_start + info.data_offsets.0 as u64));
        sought.map_err(|source| Error::ReadFile { path: path.clone(), source })?;
        // The product does not overflow: reading the header has compared it with the offsets.
        let num_elems = info.shape.iter().product::<usize>();
        let chunk_elems = chunk_elems.clamp(1, num_elems.max(1));
        let num_halves = if info.dtype == Dtype::F32 { 0 } else { chunk_elems };
        let (elems, halves) = (vec![0.0; chunk_elems], vec![0; num_halves]);
        Ok(Self { file, path, dtype: info.dtype, num_elems, next_elem: 0, elems, halves })
    }

    /// The next chunk and the index of its first element in the tensor; `None` at the end. All chunks have the size
    /// asked for but the last, which has what is left.
    ///
    /// # Errors
    /// [`Error::ReadFile`] if reading fails, for instance because the file has shrunk since it was opened.
    pub fn next_chunk(&mut self) -> Result<Option<(usize, &[f32])>> {
        let first_elem = self.next_elem;
        let len = self.elems.len().min(self.num_elems - first_elem);
        if len == 0 {
            return Ok(None);
        }
        self.fill(len).map_err(|source| Error::ReadFile { path: self.path.clone(), source })?;
        self.next_elem += len;
        Ok(Some((first_elem, &self.elems[..len])))
    }

    /// Reads `len` elements into `elems`. The file is little endian; on such a machine `from_le` does nothing.
    fn fill(&mut self, len: usize) -> io::Result<()> {
        let elems = &mut self.elems[..len];
        if self.dtype == Dtype::F32 {
            self.file.read_exact(bytemuck::cast_slice_mut(elems))?;
            elems.iter_mut().for_each(|elem| *elem = f32::from_bits(u32::from_le(elem.to_bits())));
            return Ok(());
        }
        let halves = &mut self.halves[..len];
        self.file.read_exact(bytemuck::cast_slice_mut(halves))?;
        halves.iter_mut().for_each(|bits| *bits = u16::from_le(*bits));
        if self.dtype == Dtype::F16 {
            halves.reinterpret_cast::<f16>().convert_to_f32_slice(elems);
        } else {
            halves.reinterpret_cast::<bf16>().convert_to_f32_slice(elems);
        }
        Ok(())
    }
}
