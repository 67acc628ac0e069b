//! Weights as the fast kernels read them: packed as they were stored, in panels of neighbouring outputs.
//!
//! ```text
//!   panel p            rows 32 p .. 32 p + 32 of the matrix, one in each lane; the last panel is filled up with zeros
//!     column 0         lane 0 … lane 31     32 elements of 32, 16, 8 or 4 bits
//!     column 1         lane 0 … lane 31
//!     …
//!     scales 0         lane 0 … lane 31     of quantized rows, a line for each 32 columns
//! ```
//!
//! So a vector of outputs is loaded in one piece, and a panel is read front to back. Of 4 bits a byte holds two: the lane
//! of its own number, in the low bits, and the one 16 further on.

use crate::backend::element_type::ElementType;
use crate::backend::quantized::GROUP;
use half::{bf16, f16};

/// Rows of the matrix in a panel.
pub const LANES: usize = 32;
/// Rows that are written together, so that what is written lies together.
const TOGETHER: usize = 8;

/// A matrix `[rows, cols]` of packed weights.
#[derive(Clone, Debug)]
pub struct Panels {
    rows: usize,
    cols: usize,
    elements: ElementType,
    /// `[panels, cols]` lines of 32 elements.
    words: Vec<u32>,
    /// bf16, `[panels, groups of a row]`
    scales: Vec<[u16; LANES]>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'a> {
    pub elements: ElementType,
    /// `[cols]` lines.
    pub words: &'a [u32],
    /// `[groups of a row]`
    pub scales: &'a [[u16; LANES]],
}

/// Words of a line: 32 elements of so many bits are so many words of 32.
pub fn line_words(elements: ElementType) -> usize {
    elements.row_bytes(LANES) / size_of::<u32>()
}

fn num_groups(cols: usize, elements: ElementType) -> usize {
    if elements.is_quantized() { cols.div_ceil(GROUP) } else { 0 }
}

impl Panels {
    /// Words of a matrix, and lines of scales.
    pub fn size(rows: usize, cols: usize, elements: ElementType) -> (usize, usize) {
        let num_panels = rows.div_ceil(LANES);
        let words = num_panels.saturating_mul(cols).saturating_mul(line_words(elements));
        (words, num_panels.saturating_mul(num_groups(cols, elements)))
    }

    /// Bytes of a matrix.
    pub fn num_bytes(rows: usize, cols: usize, elements: ElementType) -> usize {
        let (words, scales) = Self::size(rows, cols, elements);
        words.saturating_mul(size_of::<u32>()).saturating_add(scales.saturating_mul(size_of::<[u16; LANES]>()))
    }

    /// Of memory with as many words and lines of scales as [`Self::size`] says.
    pub fn new([rows, cols]: [usize; 2], elements: ElementType, words: Vec<u32>, scales: Vec<[u16; LANES]>) -> Self {
        Self { rows, cols, elements, words, scales }
    }

    /// Zeros.
    #[cfg(test)]
    pub fn zeros(rows: usize, cols: usize, elements: ElementType) -> Self {
        let (words, scales) = Self::size(rows, cols, elements);
        Self::new([rows, cols], elements, vec![0; words], vec![[0; LANES]; scales])
    }

    /// Of the matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Panels of the matrix.
    pub fn num_panels(&self) -> usize {
        self.rows.div_ceil(LANES)
    }

    /// One of them.
    pub fn panel(&self, panel: usize) -> Panel<'_> {
        let (num_words, num_groups) = (self.cols * line_words(self.elements), num_groups(self.cols, self.elements));
        Panel {
            elements: self.elements,
            words: &self.words[panel * num_words..][..num_words],
            scales: &self.scales[panel * num_groups..][..num_groups],
        }
    }

    /// A row of the matrix.
    pub fn row(&self, row: usize) -> impl Iterator<Item = f32> + use<'_> {
        let (panel, lane) = (self.panel(row / LANES), row % LANES);
        (0..self.cols).map(move |col| panel.element(col, lane))
    }

    /// Overwrites whole rows from `first_row` on; each value becomes the nearest that can be stored.
    pub fn upload(&mut self, first_row: usize, values: &[f32]) {
        let place = Place { first_row, num_rows: values.len() / self.cols, cols: self.cols };
        let words = &mut self.words[..];
        match self.elements {
            ElementType::F32 => place.put(bytemuck::cast_slice_mut::<_, [f32; LANES]>(words), values, set),
            ElementType::F16 | ElementType::Bf16 => {
                let halves = self.elements.halves(values);
                place.put(bytemuck::cast_slice_mut::<_, [u16; LANES]>(words), &halves, set);
            }
            ElementType::Int8 | ElementType::Int4 => {
                let (mut codes, mut scales) = (Vec::with_capacity(values.len()), Vec::new());
                for (group, len) in self.elements.groups(values, self.cols) {
                    codes.extend_from_slice(&group.codes[..len]);
                    scales.push(group.scale.to_bits());
                }
                if self.elements == ElementType::Int8 {
                    place.put(bytemuck::cast_slice_mut::<_, [i8; LANES]>(words), &codes, set);
                } else {
                    place.put(bytemuck::cast_slice_mut::<_, [u8; LANES / 2]>(words), &codes, set_nibble);
                }
                let place = Place { cols: num_groups(self.cols, self.elements), ..place };
                place.put(&mut self.scales, &scales, set);
            }
        }
    }
}

impl Panel<'_> {
    /// By definition. The fast kernels unpack many together.
    pub fn element(&self, col: usize, lane: usize) -> f32 {
        let line = &self.words[col * line_words(self.elements)..];
        let scale = || bf16::from_bits(self.scales[col / GROUP][lane]).to_f32();
        let half = || bytemuck::cast_slice::<_, u16>(line)[lane];
        match self.elements {
            ElementType::F32 => f32::from_bits(line[lane]),
            ElementType::F16 => f16::from_bits(half()).to_f32(),
            ElementType::Bf16 => bf16::from_bits(half()).to_f32(),
            ElementType::Int8 => scale() * f32::from(bytemuck::cast_slice::<_, i8>(line)[lane]),
            ElementType::Int4 => {
                let byte = bytemuck::cast_slice::<_, u8>(line)[lane % (LANES / 2)];
                let nibble = if lane < LANES / 2 { byte << 4 } else { byte & 0xf0 };
                scale() * f32::from(nibble as i8 >> 4)
            }
        }
    }
}

fn set<T: Copy>(line: &mut [T; LANES], lane: usize, value: T) {
    line[lane] = value;
}

fn set_nibble(line: &mut [u8; LANES / 2], lane: usize, code: i8) {
    let byte = &mut line[lane % (LANES / 2)];
    let shift = if lane < LANES / 2 { 0 } else { 4 };
    *byte = *byte & !(0xf << shift) | (code as u8 & 0xf) << shift;
}

/// Where rows go.
#[derive(Clone, Copy)]
struct Place {
    first_row: usize,
    num_rows: usize,
    /// Of `lines` and of the rows.
    cols: usize,
}

impl Place {
    /// `rows` is `[num_rows, cols]`, `lines` `[panels, cols]`.
    fn put<L, T: Copy>(&self, lines: &mut [L], rows: &[T], set: impl Fn(&mut L, usize, T)) {
        let end = self.first_row + self.num_rows;
        let mut row = self.first_row;
        while row < end {
            let together = (TOGETHER - row % TOGETHER).min(end - row);
            let rows = &rows[(row - self.first_row) * self.cols..][..together * self.cols];
            let lines = &mut lines[row / LANES * self.cols..][..self.cols];
            for (col, line) in lines.iter_mut().enumerate() {
                for i in 0..together {
                    set(line, row % LANES + i, rows[i * self.cols + col]);
                }
            }
            row += together;
        }
    }
}
