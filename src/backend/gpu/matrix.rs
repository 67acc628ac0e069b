//! Weight matrices on the device: how their rows are stored, and their pieces.

use super::device::{Device, DeviceBuffer};
use super::row_order::{ROWS_TOGETHER, RowOrder};
use super::{storage_buffer, stored_bytes};
use crate::backend::UPLOAD_ROWS;
use crate::backend::element_type::ElementType;
use crate::backend::memory_tracker::MatrixSize;
use crate::error::{Error, Result};

const _: () = assert!(UPLOAD_ROWS.is_multiple_of(ROWS_TOGETHER), "groups are uploaded whole");
/// Bytes of a packet.
const PACKET_BYTES: usize = 16;
/// Bytes of a scale of quantized elements.
const SCALE_BYTES: usize = 2;

/// A weight matrix on the device, split by rows so that each piece can be bound.
#[derive(Clone, Debug)]
pub struct GpuMatrix {
    pub(super) pieces: Vec<Piece>,
    cols: usize,
    /// What values are rounded to.
    elements: ElementType,
    /// What the device holds.
    pub(super) stored: ElementType,
    pub(super) order: RowOrder,
}

/// Rows of a matrix in one buffer, whole groups of interleaved ones; the last group may have rows that are not the matrix's.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub buffer: DeviceBuffer,
    /// Of quantized elements.
    pub scales: Option<DeviceBuffer>,
    pub first_row: usize,
    pub num_rows: usize,
}

/// How a matrix will lie in memory: what is planned with, and then made.
pub(super) struct Layout {
    stored: ElementType,
    pieces: Vec<PieceLayout>,
}

struct PieceLayout {
    first_row: usize,
    num_rows: usize,
    bytes: u64,
    /// 0 where elements have no scales.
    scale_bytes: u64,
}

impl Layout {
    /// Of `[rows, cols]` in pieces of at most `max_bytes`.
    pub fn new([rows, cols]: [usize; 2], elements: ElementType, order: RowOrder, max_bytes: u64) -> Result<Self> {
        let stored = if cols.is_multiple_of(elements.whole_columns()) { elements } else { ElementType::F32 };
        let (row_bytes, scale_bytes) = (stored.row_bytes(cols), stored.scale_bytes(cols));
        // Rows of scales may be half words long, so eight of them go together in any order.
        let group = if scale_bytes > 0 { ROWS_TOGETHER } else { order.interleave() };
        let rows_per_piece = (max_bytes / (group * row_bytes) as u64) as usize * group;
        if rows_per_piece == 0 {
            return Err(Error::Device(format!(
                "{group} rows of a matrix of {cols} columns are larger than this device can bind"
            )));
        }
        let piece = |first_row| {
            let num_rows = rows_per_piece.min(rows - first_row);
            let bytes_of = |row_bytes| (num_rows.next_multiple_of(group) * row_bytes) as u64;
            let scale_bytes = if scale_bytes > 0 { stored_bytes(bytes_of(scale_bytes)) } else { 0 };
            PieceLayout { first_row, num_rows, bytes: stored_bytes(bytes_of(row_bytes)), scale_bytes }
        };
        Ok(Self { stored, pieces: (0..rows).step_by(rows_per_piece).map(piece).collect() })
    }

    /// What it takes.
    pub fn size(&self) -> MatrixSize {
        let bytes = self.pieces.iter().map(|piece| piece.bytes + piece.scale_bytes).sum();
        MatrixSize { bytes, num_pieces: self.pieces.len() }
    }
}

impl GpuMatrix {
    /// A zeroed matrix of `[rows, cols]` in pieces of at most `max_bytes`.
    pub(super) fn alloc(
        device: &Device,
        label: &str,
        [rows, cols]: [usize; 2],
        elements: ElementType,
        order: RowOrder,
        max_bytes: u64,
    ) -> Result<Self> {
        let layout = Layout::new([rows, cols], elements, order, max_bytes)?;
        let mut pieces = Vec::with_capacity(layout.pieces.len());
        for PieceLayout { first_row, num_rows, bytes, scale_bytes } in layout.pieces {
            let buffer = storage_buffer(device, label, bytes)?;
            let scales = (scale_bytes > 0).then(|| storage_buffer(device, &format!("scales of {label}"), scale_bytes));
            pieces.push(Piece { buffer, scales: scales.transpose()?, first_row, num_rows });
        }
        Ok(Self { pieces, cols, elements, stored: layout.stored, order })
    }

    /// Whether the other has the same rows in the same pieces, stored alike.
    pub(super) fn is_split_like(&self, other: &Self) -> bool {
        let layout = |matrix: &Self| (matrix.cols, matrix.stored, matrix.order);
        let rows = |matrix: &Self| matrix.pieces.iter().map(|piece| piece.num_rows).collect::<Vec<_>>();
        layout(self) == layout(other) && rows(self) == rows(other)
    }

    /// Overwrites whole rows from `first_row` on.
    pub(super) fn upload(&self, device: &Device, first_row: usize, values: &[f32]) {
        let end_row = first_row + values.len() / self.cols;
        // Where the device holds a wider type, it holds the same values.
        let rounded = (self.stored != self.elements).then(|| self.elements.rounded(values, self.cols));
        let values = rounded.as_deref().unwrap_or(values);
        for piece in &self.pieces {
            let (begin, end) = (first_row.max(piece.first_row), end_row.min(piece.first_row + piece.num_rows));
            if begin >= end {
                continue;
            }
            let rows = &values[(begin - first_row) * self.cols..(end - first_row) * self.cols];
            let packed = self.stored.pack(rows, self.cols);
            let rows = begin - piece.first_row..end - piece.first_row;
            let is_last = rows.end == piece.num_rows;
            let is_whole = |row: usize| row.is_multiple_of(self.order.interleave());
            assert!(is_whole(rows.start) && (is_last || is_whole(rows.end)), "groups are uploaded whole");
            let elements = [self.stored.row_bytes(self.cols), PACKET_BYTES];
            self.write_rows(device, &piece.buffer, rows.start, bytemuck::cast_slice(&packed.words), elements);
            if let Some(buffer) = &piece.scales {
                let scales = [self.stored.scale_bytes(self.cols), SCALE_BYTES];
                self.write_rows(device, buffer, rows.start, bytemuck::cast_slice(&packed.scales), scales);
            }
        }
    }

    /// Writes whole rows to where they lie in a piece; `row` counts from its first. What lies together of a row is a packet.
    fn write_rows(
        &self,
        device: &Device,
        buffer: &DeviceBuffer,
        row: usize,
        bytes: &[u8],
        [row_bytes, packet_bytes]: [usize; 2],
    ) {
        let group = self.order.interleave();
        let whole_bytes = bytes.len().next_multiple_of(group * row_bytes);
        // Whole words are written.
        let mut ordered = vec![0; whole_bytes.next_multiple_of(4)];
        for (i, source) in bytes.chunks_exact(row_bytes).enumerate() {
            let to = &mut ordered[i / group * group * row_bytes..][..group * row_bytes];
            for (packet, source) in source.chunks(packet_bytes).enumerate() {
                let at = (packet * group + i % group) * packet_bytes;
                to[at..at + source.len()].copy_from_slice(source);
            }
        }
        device.queue.write_buffer(buffer, (row * row_bytes) as u64, &ordered);
    }
}
