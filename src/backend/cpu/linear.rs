//! `linear`: the twin of `shaders/linear.wgsl`, and the fast version.

use super::fast::instruction_set::Vectors;
use super::fast::matmul::{PackedRows, matmul};
use super::fast::panels::Panels;
use super::naive::naive_matmul;
use crate::backend::params::LinearParams;
use ndarray::{ArrayView2, ArrayViewMut2};

/// `out[row, n] = Σ_k x[row, k] * weight[n, k] + bias[n]`, or `+=`
pub(super) fn linear(
    vectors: Vectors,
    p: &LinearParams,
    x: ArrayView2<f32>,
    weight: &Panels,
    bias: Option<&[f32]>,
    out: ArrayViewMut2<f32>,
) {
    let packed = PackedRows::new(x.to_slice().expect("rows are contiguous"), x.ncols(), vectors);
    matmul(vectors, &packed, [weight], out, |out, first, [sums]| {
        for (i, (out, sum)) in out.iter_mut().zip(sums).enumerate() {
            put(p, out, *sum, bias.map(|bias| bias[first + i]));
        }
    });
}

/// The twin.
pub(super) fn naive_linear(
    p: &LinearParams,
    x: ArrayView2<f32>,
    weight: &Panels,
    bias: Option<&[f32]>,
    out: ArrayViewMut2<f32>,
) {
    naive_matmul(x, [weight], out, |out, n, [sum]| put(p, out, sum, bias.map(|bias| bias[n])));
}

#[inline(always)]
fn put(p: &LinearParams, out: &mut f32, sum: f32, bias: Option<f32>) {
    let value = sum + bias.unwrap_or(0.0);
    *out = if p.add_to_out != 0 { *out + value } else { value };
}
