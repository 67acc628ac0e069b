//! What the twins of `linear` and `gated_linear` share: a row of x times a row of each weight, for every output.

use super::dot::dots;
use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice};
#[cfg(feature = "parallel")]
use rayon::prelude::*;

/// Output columns per task: their weights (64 · in_features f32) stay in a core's cache for all rows of `x`.
const COLUMNS: usize = 64;
/// Rows of `x` that share one pass over a row of the weight.
const ROWS: usize = 4;

/// `write(&mut out[row, n], n, [x[row] · weights[0][n], x[row] · weights[1][n], …])` for each row and column of `out`.
pub(super) fn matmul<const W: usize>(
    x: ArrayView2<f32>,
    weights: [ArrayView2<f32>; W],
    mut out: ArrayViewMut2<f32>,
    write: impl Fn(&mut f32, usize, [f32; W]) + Sync,
) {
    let arch = pulp::Arch::new();
    let task = |(task_idx, mut out): (usize, ArrayViewMut2<f32>)| {
        let first = task_idx * COLUMNS;
        let weights = weights.map(|weight| weight.slice_axis_move(Axis(0), Slice::from(first..first + out.ncols())));
        arch.dispatch(|| columns(first, x, &weights, &mut out, &write));
    };
    let tasks = out.axis_chunks_iter_mut(Axis(1), COLUMNS);
    #[cfg(feature = "parallel")]
    tasks.into_par_iter().enumerate().for_each(task);
    #[cfg(not(feature = "parallel"))]
    tasks.enumerate().for_each(task);
}

#[inline(always)]
fn columns<const W: usize>(
    first_column: usize,
    x: ArrayView2<f32>,
    weights: &[ArrayView2<f32>; W],
    out: &mut ArrayViewMut2<f32>,
    write: impl Fn(&mut f32, usize, [f32; W]),
) {
    let whole = x.nrows() / ROWS * ROWS;
    let row = |row: usize| x.index_axis_move(Axis(0), row).to_slice().expect("rows are contiguous");
    for n in 0..out.ncols() {
        let weights = weights.map(|weight| weight.index_axis_move(Axis(0), n).to_slice().expect("rows are contiguous"));
        for first in (0..whole).step_by(ROWS) {
            let rows = [row(first), row(first + 1), row(first + 2), row(first + 3)];
            let sums = weights.map(|weight| dots::<ROWS>(rows, weight));
            for i in 0..ROWS {
                write(&mut out[[first + i, n]], first_column + n, sums.map(|sums| sums[i]));
            }
        }
        for i in whole..x.nrows() {
            write(&mut out[[i, n]], first_column + n, weights.map(|weight| dots([row(i)], weight)[0]));
        }
    }
}
