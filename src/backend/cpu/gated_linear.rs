//! `gated_linear`: the twin of `shaders/gated_linear.wgsl`, and the fast version.

use super::exp::exp;
use super::fast::instruction_set::Vectors;
use super::fast::matmul::{PackedRows, matmul};
use super::fast::panels::Panels;
use super::naive::naive_matmul;
use ndarray::{ArrayView2, ArrayViewMut2};

/// `out[row, n] = silu(x[row] · gate[n]) * (x[row] · up[n])`
pub(super) fn gated_linear(vectors: Vectors, x: ArrayView2<f32>, gate: &Panels, up: &Panels, out: ArrayViewMut2<f32>) {
    let packed = PackedRows::new(x.to_slice().expect("rows are contiguous"), x.ncols(), vectors);
    matmul(vectors, &packed, [gate, up], out, |out, _, [gate, up]| {
        vectors.run(|| {
            for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
                *out = silu(*gate) * up;
            }
        });
    });
}

/// The twin.
pub(super) fn naive_gated_linear(x: ArrayView2<f32>, gate: &Panels, up: &Panels, out: ArrayViewMut2<f32>) {
    naive_matmul(x, [gate, up], out, |out, _, [gate, up]| *out = silu(gate) * up);
}

/// `x / (1 + exp(−x))`. The exponent is clamped where f32 would overflow: no infinity, and the same result.
#[inline(always)]
fn silu(x: f32) -> f32 {
    x / (1.0 + exp((-x).min(80.0)))
}
