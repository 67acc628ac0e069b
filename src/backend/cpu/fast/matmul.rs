//! What the fast `linear` and `gated_linear` share: rows of x times panels of weights.
//!
//! An output is added up over k in order, in one lane of one register, whatever the tile, the block or the thread. So its
//! bits depend on its own row alone, and they are those of the twin.

use super::ahead::{Ahead, TOGETHER};
use super::few_rows::{Sums, multiply_packed};
use super::instruction_set::Vectors;
use super::panels::{LANES, Panels};
use super::threads;
use super::tile::{multiply_tile, tiles};
use super::unpack::{BLOCK, Block};
use crate::backend::quantized::GROUP;
use ndarray::{ArrayViewMut2, Axis};
use pulp::{Simd, WithSimd};
use std::borrow::Cow;
use std::ops::Range;

/// Rows of x as tiles read them: of each tile `[columns, rows]`.
pub struct PackedRows<'a> {
    values: Cow<'a, [f32]>,
    num_rows: usize,
    cols: usize,
    tile_rows: usize,
}

impl<'a> PackedRows<'a> {
    /// A copy of whole rows, unless there is one.
    #[inline(always)]
    pub fn new(x: &'a [f32], cols: usize, vectors: Vectors) -> Self {
        let (num_rows, tile_rows) = (x.len() / cols, vectors.tile_rows());
        let mut values = Cow::Borrowed(x);
        if num_rows > 1 {
            let mut packed = vec![0.0; x.len()];
            for (first, rows) in tiles(num_rows, tile_rows) {
                let tile = first * cols..(first + rows) * cols;
                for (row, x) in x[tile.clone()].chunks_exact(cols).enumerate() {
                    packed[tile.clone()].iter_mut().skip(row).step_by(rows).zip(x).for_each(|(to, x)| *to = *x);
                }
            }
            values = Cow::Owned(packed);
        }
        Self { values, num_rows, cols, tile_rows }
    }

    /// `[columns from the first on, rows]` of a tile.
    #[inline(always)]
    fn of_tile(&self, first_row: usize, rows: usize, first_col: usize) -> &[f32] {
        &self.values[first_row * self.cols + first_col * rows..(first_row + rows) * self.cols]
    }

    /// So many.
    pub fn num_rows(&self) -> usize {
        self.num_rows
    }
}

/// `write(outputs of a row and a panel, first output, [x[row] · weights[0], x[row] · weights[1], …])` for each row and panel.
pub fn matmul<const W: usize>(
    vectors: Vectors,
    x: &PackedRows<'_>,
    weights: [&Panels; W],
    mut out: ArrayViewMut2<f32>,
    write: impl Fn(&mut [f32], usize, [&[f32; LANES]; W]) + Sync,
) {
    if x.num_rows == 0 {
        return;
    }
    let num_panels = weights[0].num_panels();
    let per_task = threads::share(num_panels, (x.num_rows * x.cols).saturating_mul(W * LANES)).next_multiple_of(2);
    let tasks = out.axis_chunks_iter_mut(Axis(1), per_task * LANES).enumerate().collect();
    threads::for_each(tasks, |(task, mut out): (usize, ArrayViewMut2<f32>)| {
        // Only tiles of many rows need one, and to clear it takes time.
        let mut block = (x.num_rows > x.tile_rows).then(Block::new);
        let (first_panel, num_panels) = (task * per_task, out.ncols().div_ceil(LANES));
        let mut sums = [(); W].map(|()| vec![[0.0; LANES]; TOGETHER * x.num_rows]);
        Ahead::new(weights[0], first_panel, 0, block_cols(x.cols)).fetch_all();
        for (i, mut out) in out.axis_chunks_iter_mut(Axis(1), TOGETHER * LANES).enumerate() {
            let first = first_panel + TOGETHER * i;
            let panels = first..(first + TOGETHER).min(first_panel + num_panels);
            for (w, sums) in sums.iter_mut().enumerate() {
                let next = if w + 1 < W { (weights[w + 1], first) } else { (weights[0], first + TOGETHER) };
                let panels = panels.clone();
                vectors.run(MultiplyPanels { x, weights: weights[w], panels, next, block: block.as_mut(), sums });
            }
            for (j, mut out) in out.axis_chunks_iter_mut(Axis(1), LANES).enumerate() {
                for (row, mut out) in out.outer_iter_mut().enumerate() {
                    let out = out.as_slice_mut().expect("rows are contiguous");
                    write(out, (first + j) * LANES, std::array::from_fn(|w| &sums[w][j * x.num_rows + row]));
                }
            }
        }
    });
}

/// Columns of a block: so many that all blocks are alike, if that can be had.
fn block_cols(cols: usize) -> usize {
    let alike = (BLOCK / 2..=BLOCK).rev().step_by(GROUP).find(|block| cols.is_multiple_of(*block));
    alike.unwrap_or(BLOCK).min(cols)
}

/// `sums[row][lane] += Σ_k x[row][first_col + k] · weights[k][lane]`, in order of k.
#[inline(always)]
pub fn multiply_block<'a, S: Simd>(
    simd: S,
    x: &PackedRows<'_>,
    first_col: usize,
    weights: impl ExactSizeIterator<Item = &'a [f32; LANES]> + Clone,
    sums: &mut [[f32; LANES]],
) {
    for (first, rows) in tiles(x.num_rows, x.tile_rows) {
        let x = &x.of_tile(first, rows, first_col)[..weights.len() * rows];
        multiply_tile(simd, x, weights.clone(), &mut sums[first..first + rows]);
    }
}

/// `sums[panel][row][lane] = x[row] · panel[lane]`
struct MultiplyPanels<'a> {
    x: &'a PackedRows<'a>,
    weights: &'a Panels,
    panels: Range<usize>,
    /// The panel from which on they are multiplied after these.
    next: (&'a Panels, usize),
    /// Room for unpacked weights. Without it few rows are multiplied in registers.
    block: Option<&'a mut Block>,
    sums: &'a mut [[f32; LANES]],
}

impl WithSimd for MultiplyPanels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, weights, panels, next, mut block, sums } = self;
        sums.fill([0.0; LANES]);
        let block_cols = block_cols(x.cols);
        for first_col in (0..x.cols).step_by(block_cols) {
            let end = x.cols.min(first_col + block_cols);
            let mut ahead = if end < x.cols {
                Ahead::new(weights, panels.start, end, block_cols.min(x.cols - end))
            } else {
                Ahead::new(next.0, next.1, 0, block_cols)
            };
            let mut blocks = [weights.panel(panels.start).columns(first_col, end - first_col); TOGETHER];
            for (block, panel) in blocks.iter_mut().zip(panels.clone()).skip(1) {
                *block = weights.panel(panel).columns(first_col, end - first_col);
            }
            let blocks = &blocks[..panels.len()];
            if let Some(block) = &mut block {
                for (panel, sums) in blocks.iter().zip(sums.chunks_exact_mut(x.num_rows)) {
                    multiply_block(simd, x, first_col, block.unpack(simd, *panel).iter(), sums);
                }
            } else {
                let mut sums = Sums { values: sums, num_rows: x.num_rows };
                for (first, rows) in tiles(x.num_rows, x.tile_rows) {
                    let x = x.of_tile(first, rows, first_col);
                    multiply_packed(simd, x, blocks, &mut sums, (first, rows), &mut ahead);
                }
            }
            ahead.fetch_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::fast::instruction_set::InstructionSet;
    use crate::backend::cpu::naive::naive_matmul;
    use crate::backend::element_type::ElementType;
    use ndarray::Array2;

    /// Values of many magnitudes, so that another order of additions shows.
    fn values(len: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let magnitude = 2.0f32.powi((state >> 28) as i32 - 8);
            ((state >> 8) as f32 / 8_388_608.0 - 1.0) * magnitude
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn every_instruction_set_gives_the_bits_of_the_twin() {
        let shapes = [
            (0, 40, 64),
            (1, 300, 70),
            (2, 33, 32),
            // More panels in a task than go together.
            (2, 33, 300),
            (3, 1, 1),
            (7, 128, 33),
            (13, 129, 100),
            (31, 257, 31),
            (37, 40, 64),
        ];
        for ((rows, cols, outputs), elements) in shapes.into_iter().flat_map(|s| ElementType::ALL.map(|e| (s, e))) {
            let x = Array2::from_shape_vec((rows, cols), values(rows * cols, 1)).unwrap();
            let weights = [2, 3].map(|seed| {
                let mut panels = Panels::zeros(outputs, cols, elements);
                panels.upload(0, &values(outputs * cols, seed));
                panels
            });
            let weights = [&weights[0], &weights[1]];
            let mut expected = Array2::zeros((rows, outputs));
            naive_matmul(x.view(), weights, expected.view_mut(), |out, n, [a, b]| *out = a - b * n as f32);
            for vectors in InstructionSet::available().iter().map(|set| set.vectors().unwrap()) {
                let mut out = Array2::zeros((rows, outputs));
                matmul(
                    vectors,
                    &PackedRows::new(x.as_slice().unwrap(), cols, vectors),
                    weights,
                    out.view_mut(),
                    |out, first, [a, b]| {
                        out.iter_mut().enumerate().for_each(|(i, out)| *out = a[i] - b[i] * (first + i) as f32);
                    },
                );
                assert_eq!(out, expected, "{vectors:?}, {rows} rows of {cols} by {outputs} {elements:?}");
            }
        }
    }
}
