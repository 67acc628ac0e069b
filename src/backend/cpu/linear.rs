//! Twin of `shaders/linear.wgsl`.

use super::dot::dots;
use crate::backend::params::LinearParams;
use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice};
#[cfg(feature = "parallel")]
use rayon::prelude::*;

/// Output columns per task: their weights (64 · in_features f32) stay in a core's cache for all rows of `x`.
const COLUMNS: usize = 64;
/// Rows of `x` that share one pass over a row of the weight.
const ROWS: usize = 4;

/// `out[row, first_out + n] = Σ_k x[row, k] * weight[n, k] + bias[first_out + n]`, or `+=`
pub(super) fn linear(
    p: &LinearParams,
    x: ArrayView2<f32>,
    weight: ArrayView2<f32>,
    bias: Option<&[f32]>,
    mut out: ArrayViewMut2<f32>,
) {
    let first_out = p.first_out as usize;
    let mut out = out.slice_axis_mut(Axis(1), Slice::from(first_out..first_out + p.num_out as usize));
    let arch = pulp::Arch::new();
    let add_to_out = p.add_to_out != 0;
    let task = |(task_idx, mut out): (usize, ArrayViewMut2<f32>)| {
        let first = task_idx * COLUMNS;
        let weight = weight.slice_axis(Axis(0), Slice::from(first..first + out.ncols()));
        let bias = bias.map(|bias| &bias[first_out + first..]);
        arch.dispatch(|| columns(add_to_out, x, weight, bias, &mut out));
    };
    let tasks = out.axis_chunks_iter_mut(Axis(1), COLUMNS);
    #[cfg(feature = "parallel")]
    tasks.into_par_iter().enumerate().for_each(task);
    #[cfg(not(feature = "parallel"))]
    tasks.enumerate().for_each(task);
}

#[inline(always)]
fn columns(
    add_to_out: bool,
    x: ArrayView2<f32>,
    weight: ArrayView2<f32>,
    bias: Option<&[f32]>,
    out: &mut ArrayViewMut2<f32>,
) {
    let whole = x.nrows() / ROWS * ROWS;
    for (n, weight) in weight.outer_iter().enumerate() {
        let weight = weight.to_slice().expect("rows are contiguous");
        let bias = bias.map_or(0.0, |bias| bias[n]);
        let write = |out: &mut f32, sum: f32| {
            let value = sum + bias;
            *out = if add_to_out { *out + value } else { value };
        };
        let row = |row: usize| x.row(row).to_slice().expect("rows are contiguous");
        for first in (0..whole).step_by(ROWS) {
            let sums = dots::<ROWS>([row(first), row(first + 1), row(first + 2), row(first + 3)], weight);
            for (i, sum) in sums.into_iter().enumerate() {
                write(&mut out[[first + i, n]], sum);
            }
        }
        for i in whole..x.nrows() {
            write(&mut out[[i, n]], dots([row(i)], weight)[0]);
        }
    }
}
