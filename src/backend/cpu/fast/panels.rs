//! Weights as the fast kernels read them: packed as they were stored, in panels of neighbouring outputs.
//!
//! ```text
//!   panel p            rows 32 p .. 32 p + 32 of the matrix, one in each lane; the last panel is filled up with zeros
//!     line 0           columns 0, 1, …      as many as 16 words hold of 32 lanes: see super::forms
//!     line 1
//!     …
//!     scales 0         lane 0 … lane 31     of quantized rows, a line of bf16 for each 32 columns
//! ```
//!
//! So a vector of outputs is loaded in one piece, and a panel is read front to back.

use super::forms::ACROSS;
use super::threads;
use crate::backend::element_type::ElementType;
use crate::backend::quantized::GROUP;
use bytemuck::Pod;
use half::{bf16, f16};

/// Rows of the matrix in a panel.
pub const LANES: usize = 32;
/// Multiplications that take about as long as packing an element.
const COST: usize = 8;
/// Rows that are written together, so that what is written lies together.
const TOGETHER: usize = 8;

/// A matrix `[rows, cols]` of packed weights.
#[derive(Clone, Debug)]
pub struct Panels {
    rows: usize,
    cols: usize,
    elements: ElementType,
    /// `[panels, lines of a panel]` lines.
    words: Vec<u32>,
    /// bf16, `[panels, groups of a row]` lines.
    scales: Vec<[u32; ACROSS]>,
}

/// One of them, or some columns of it.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'a> {
    pub elements: ElementType,
    pub cols: usize,
    /// Lines.
    pub words: &'a [u32],
    /// `[groups of a row]` lines.
    pub scales: &'a [[u32; ACROSS]],
}

/// Where elements lie.
#[derive(Clone, Copy)]
struct Layout {
    /// Of an element.
    bits: usize,
    /// Of a line.
    words: usize,
    /// Of a line.
    cols: usize,
}

impl Layout {
    fn of(elements: ElementType) -> Self {
        let bits = elements.row_bytes(8);
        Self { bits, words: if bits == 32 { LANES } else { ACROSS }, cols: (16 / bits).max(1) }
    }

    /// Words of so many columns.
    fn num_words(self, cols: usize) -> usize {
        cols.div_ceil(self.cols).saturating_mul(self.words)
    }

    /// A lane's word of a line, and where its element of a column of this line begins.
    fn place(self, col: usize, lane: usize) -> (usize, usize) {
        if self.bits == 32 { (lane, 0) } else { (lane % ACROSS, self.bits * (2 * col + lane / ACROSS)) }
    }
}

fn num_groups(cols: usize, elements: ElementType) -> usize {
    if elements.is_quantized() { cols.div_ceil(GROUP) } else { 0 }
}

impl Panels {
    /// Words of a matrix, and lines of scales.
    pub fn size(rows: usize, cols: usize, elements: ElementType) -> (usize, usize) {
        let num_panels = rows.div_ceil(LANES);
        let words = num_panels.saturating_mul(Layout::of(elements).num_words(cols));
        (words, num_panels.saturating_mul(num_groups(cols, elements)))
    }

    /// Bytes of a matrix.
    pub fn num_bytes(rows: usize, cols: usize, elements: ElementType) -> usize {
        let (words, scales) = Self::size(rows, cols, elements);
        words.saturating_mul(size_of::<u32>()).saturating_add(scales.saturating_mul(size_of::<[u32; ACROSS]>()))
    }

    /// Of memory with as many words and lines of scales as [`Self::size`] says.
    pub fn new([rows, cols]: [usize; 2], elements: ElementType, words: Vec<u32>, scales: Vec<[u32; ACROSS]>) -> Self {
        Self { rows, cols, elements, words, scales }
    }

    /// Zeros.
    #[cfg(test)]
    pub fn zeros(rows: usize, cols: usize, elements: ElementType) -> Self {
        let (words, scales) = Self::size(rows, cols, elements);
        Self::new([rows, cols], elements, vec![0; words], vec![[0; ACROSS]; scales])
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
    #[inline(always)]
    pub fn panel(&self, panel: usize) -> Panel<'_> {
        let num_words = Layout::of(self.elements).num_words(self.cols);
        let num_groups = num_groups(self.cols, self.elements);
        Panel {
            elements: self.elements,
            cols: self.cols,
            words: &self.words[panel * num_words..][..num_words],
            scales: &self.scales[panel * num_groups..][..num_groups],
        }
    }

    /// All words from a column of a panel on, how many a panel has, and how many so many columns have.
    pub fn words_from(&self, panel: usize, col: usize, num_cols: usize) -> (&[u32], usize, usize) {
        let layout = Layout::of(self.elements);
        let panel_words = layout.num_words(self.cols);
        let words = self.words.get(panel * panel_words + layout.num_words(col)..).unwrap_or_default();
        (words, panel_words, layout.num_words(num_cols))
    }

    /// A row of the matrix.
    pub fn row(&self, row: usize) -> impl Iterator<Item = f32> + use<'_> {
        let (panel, lane) = (self.panel(row / LANES), row % LANES);
        (0..self.cols).map(move |col| panel.element(col, lane))
    }

    /// Overwrites whole rows from `first_row` on; each value becomes the nearest that can be stored.
    pub fn upload(&mut self, first_row: usize, values: &[f32]) {
        let Self { cols, elements, .. } = *self;
        let is_whole = values.len().is_multiple_of(cols) && first_row + values.len() / cols <= self.rows;
        assert!(is_whole, "whole rows of the matrix are uploaded");
        let (num_words, num_groups) = (Layout::of(elements).num_words(cols), num_groups(cols, elements));
        let first_panel = first_row / LANES;
        let mut words = self.words[first_panel * num_words..].chunks_mut(num_words);
        let mut scales = self.scales[first_panel * num_groups..].chunks_mut(num_groups.max(1));
        let (mut row, mut rest, mut tasks) = (first_row, values, Vec::new());
        while !rest.is_empty() {
            let num_rows = (LANES - row % LANES).min(rest.len() / cols);
            let (rows, after) = rest.split_at(num_rows * cols);
            tasks.push((words.next().unwrap_or_default(), scales.next().unwrap_or_default(), row % LANES, rows));
            (row, rest) = (row + num_rows, after);
        }
        threads::for_each_worth(COST * values.len(), tasks, |(words, scales, first_lane, rows)| {
            put_rows(words, scales.as_flattened_mut(), [first_lane, cols], elements, rows);
        });
    }
}

/// Writes rows of a panel.
fn put_rows(
    words: &mut [u32],
    scales: &mut [u32],
    [first_lane, cols]: [usize; 2],
    elements: ElementType,
    rows: &[f32],
) {
    let layout = Layout::of(elements);
    match elements {
        ElementType::F32 => put(words, layout, cols, first_lane, rows, whole),
        ElementType::F16 | ElementType::Bf16 => put(words, layout, cols, first_lane, &elements.halves(rows), whole),
        ElementType::Int8 | ElementType::Int4 => {
            let (mut codes, mut new_scales) = (Vec::with_capacity(rows.len()), Vec::new());
            let offset = 1u8 << (layout.bits - 1);
            for (group, len) in elements.groups(rows, cols) {
                codes.extend(group.codes[..len].iter().map(|&code| (code as u8).wrapping_add(offset)));
                new_scales.push(group.scale.to_bits());
            }
            if elements == ElementType::Int8 {
                put(words, layout, cols, first_lane, &codes, whole);
            } else {
                let nibble = |byte: &mut u8, shift: usize, code: u8| *byte = *byte & !(0xf << shift) | code << shift;
                put(words, layout, cols, first_lane, &codes, nibble);
            }
            put(scales, Layout::of(ElementType::Bf16), num_groups(cols, elements), first_lane, &new_scales, whole);
        }
    }
}

impl<'a> Panel<'a> {
    /// Columns `first..first + num_cols`, from a multiple of 32 on.
    #[inline(always)]
    pub fn columns(self, first: usize, num_cols: usize) -> Panel<'a> {
        let layout = Layout::of(self.elements);
        Panel {
            elements: self.elements,
            cols: num_cols,
            words: &self.words[layout.num_words(first)..][..layout.num_words(num_cols)],
            scales: self.scales.get(first / GROUP..).unwrap_or_default(),
        }
    }

    /// By definition. The fast kernels unpack many together.
    pub fn element(&self, col: usize, lane: usize) -> f32 {
        let layout = Layout::of(self.elements);
        let (word, shift) = layout.place(col % layout.cols, lane);
        let bits = self.words[col / layout.cols * layout.words + word] >> shift;
        let scaled = |offset: u32| {
            let code = (bits & (2 * offset - 1)) as f32 - offset as f32;
            let (word, shift) = Layout::of(ElementType::Bf16).place(0, lane);
            // Of a zero there is only one, whatever the sign of its scale.
            bf16::from_bits((self.scales[col / GROUP][word] >> shift) as u16).to_f32() * code + 0.0
        };
        match self.elements {
            ElementType::F32 => f32::from_bits(bits),
            ElementType::F16 => f16::from_bits(bits as u16).to_f32(),
            ElementType::Bf16 => bf16::from_bits(bits as u16).to_f32(),
            ElementType::Int8 => scaled(128),
            ElementType::Int4 => scaled(8),
        }
    }
}

/// Of elements that fill their `T`.
fn whole<T>(to: &mut T, _: usize, element: T) {
    *to = element;
}

/// Writes rows of `cols` elements to the lanes of a panel from `first_lane` on. `set` gets the bits from which on an element
/// begins in its `T`. Memory that nobody used yet is only written: to read it first would cost a page fault more for each
/// page.
fn put<T: Pod>(
    words: &mut [u32],
    layout: Layout,
    cols: usize,
    first_lane: usize,
    rows: &[T],
    set: impl Fn(&mut T, usize, T),
) {
    let end = first_lane + rows.len() / cols;
    let (of_word, bits) = (size_of::<u32>() / size_of::<T>(), 8 * size_of::<T>());
    let mut lane = first_lane;
    while lane < end {
        let together = (TOGETHER - lane % TOGETHER).min(end - lane);
        let rows = &rows[(lane - first_lane) * cols..][..together * cols];
        let lines = words.chunks_exact_mut(layout.words);
        for (first_col, line) in (0..cols).step_by(layout.cols).zip(lines) {
            let line = bytemuck::cast_slice_mut::<u32, T>(line);
            for col in first_col..cols.min(first_col + layout.cols) {
                let (word, shift) = layout.place(col - first_col, lane);
                let line = line[word * of_word + shift / bits..].iter_mut().step_by(of_word);
                for (i, to) in line.take(together).enumerate() {
                    set(to, shift % bits, rows[i * cols + col]);
                }
            }
        }
        lane += together;
    }
}
