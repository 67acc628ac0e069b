//! A tensor, or some rows of it, read in pieces of bounded size, each converted to f32.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorInfo};

use super::folder_file::FolderFile;
use super::reading::Reading;
use crate::error::{Error, Result};

/// Reads a range of one tensor's elements front to back.
#[derive(Debug)]
pub struct TensorChunks {
    file: FolderFile,
    path: PathBuf,
    dtype: Dtype,
    /// Where the tensor begins in the file, in bytes.
    tensor_start: u64,
    /// The first element to read.
    first_elem: usize,
    /// How many are to be read.
    num_elems: usize,
    /// How many were read.
    next_elem: usize,
    /// The current chunk.
    elems: Vec<f32>,
    /// The current chunk as stored in halves.
    halves: Vec<u16>,
    /// The current chunk as stored in f64.
    doubles: Vec<f64>,
    reading: Reading,
}

impl TensorChunks {
    /// Elements of the tensor that `info` describes, in a file whose first tensor begins at byte `data_start`. The caller
    /// has checked the dtype and that the tensor has these elements.
    pub(super) fn new(
        file: FolderFile,
        path: PathBuf,
        data_start: u64,
        info: &TensorInfo,
        elems: Range<usize>,
        chunk_elems: usize,
        reading: Reading,
    ) -> Self {
        let num_elems = elems.len();
        let chunk_elems = chunk_elems.clamp(1, num_elems.max(1));
        let elems_if = |is_so: bool| if is_so { chunk_elems } else { 0 };
        let num_halves = elems_if(matches!(info.dtype, Dtype::F16 | Dtype::BF16));
        Self {
            file,
            path,
            dtype: info.dtype,
            tensor_start: data_start + info.data_offsets.0 as u64,
            first_elem: elems.start,
            num_elems,
            next_elem: 0,
            elems: vec![0.0; chunk_elems],
            halves: vec![0; num_halves],
            doubles: vec![0.0; elems_if(info.dtype == Dtype::F64)],
            reading,
        }
    }

    /// The next chunk and the index of its first element in the range; `None` at the end. All chunks have the size
    /// asked for but the last, which has what is left.
    ///
    /// # Errors
    /// [`Error::ReadFile`] if reading fails, for instance because the file has shrunk since it was opened.
    pub async fn next_chunk(&mut self) -> Result<Option<(usize, &mut [f32])>> {
        let first_elem = self.next_elem;
        let len = self.elems.len().min(self.num_elems - first_elem);
        if len == 0 {
            return Ok(None);
        }
        self.fill(len).await.map_err(|source| Error::ReadFile { path: self.path.clone(), source })?;
        self.next_elem += len;
        self.reading.add(len * self.dtype.bitsize() / 8);
        Ok(Some((first_elem, &mut self.elems[..len])))
    }

    /// Reads `len` elements into `elems`. The file is little endian; on such a machine `from_le` does nothing.
    async fn fill(&mut self, len: usize) -> io::Result<()> {
        let elems = &mut self.elems[..len];
        let offset = |elem_bytes: u64| self.tensor_start + elem_bytes * (self.first_elem + self.next_elem) as u64;
        if self.dtype == Dtype::F32 {
            self.file.read_at(offset(4), bytemuck::cast_slice_mut(elems)).await?;
            elems.iter_mut().for_each(|elem| *elem = f32::from_bits(u32::from_le(elem.to_bits())));
            return Ok(());
        }
        if self.dtype == Dtype::F64 {
            let doubles = &mut self.doubles[..len];
            self.file.read_at(offset(8), bytemuck::cast_slice_mut(doubles)).await?;
            let rounded = doubles.iter().map(|double| f64::from_bits(u64::from_le(double.to_bits())) as f32);
            elems.iter_mut().zip(rounded).for_each(|(elem, rounded)| *elem = rounded);
            return Ok(());
        }
        let halves = &mut self.halves[..len];
        self.file.read_at(offset(2), bytemuck::cast_slice_mut(halves)).await?;
        halves.iter_mut().for_each(|bits| *bits = u16::from_le(*bits));
        if self.dtype == Dtype::F16 {
            halves.reinterpret_cast::<f16>().convert_to_f32_slice(elems);
        } else {
            halves.reinterpret_cast::<bf16>().convert_to_f32_slice(elems);
        }
        Ok(())
    }
}
