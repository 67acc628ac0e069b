//! Twin of `shaders/gated_linear.wgsl`.

use super::matmul::matmul;
use crate::backend::params::GatedLinearParams;
use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice};

/// `out[row, first_out + n] = silu(x[row] · gate[n]) * (x[row] · up[n])`
pub(super) fn gated_linear(
    p: &GatedLinearParams,
    x: ArrayView2<f32>,
    gate: ArrayView2<f32>,
    up: ArrayView2<f32>,
    mut out: ArrayViewMut2<f32>,
) {
    let first_out = p.first_out as usize;
    let out = out.slice_axis_mut(Axis(1), Slice::from(first_out..first_out + p.num_out as usize));
    matmul(x, [gate, up], out, |out, _, [gate, up]| *out = silu(gate) * up);
}

/// `x / (1 + exp(−x))`. The exponent is clamped where f32 would overflow: no infinity, and the same result.
fn silu(x: f32) -> f32 {
    x / (1.0 + (-x).min(80.0).exp())
}
