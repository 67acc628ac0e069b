//! `gated_linear`: the twin of `shaders/gated_linear.wgsl`, and the fast version.

use super::exp::exp;
use super::fast::instruction_set::Vectors;
use super::fast::matmul::{PackedRows, matmul};
use super::fast::panels::{LANES, Panels};
use super::naive::naive_matmul;
use ndarray::{ArrayView2, ArrayViewMut2};
use pulp::{Simd, WithSimd};

/// `out[row, n] = silu(x[row] · gate[n]) * (x[row] · up[n])`
pub(super) fn gated_linear(vectors: Vectors, x: ArrayView2<f32>, gate: &Panels, up: &Panels, out: ArrayViewMut2<f32>) {
    let packed = PackedRows::new(x.to_slice().expect("rows are contiguous"), x.ncols(), vectors);
    matmul(vectors, &packed, [gate, up], out, |out, _, [gate, up]| {
        vectors.run(Gate { out, gate, up });
    });
}

/// `out[lane] = silu(gate[lane]) * up[lane]`
struct Gate<'a> {
    out: &'a mut [f32],
    gate: &'a [f32; LANES],
    up: &'a [f32; LANES],
}

impl WithSimd for Gate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for ((out, gate), up) in self.out.iter_mut().zip(self.gate).zip(self.up) {
            *out = silu(*gate) * up;
        }
    }
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
