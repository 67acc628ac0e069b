//! Twin of `shaders/linear.wgsl`.

use super::matmul::matmul;
use crate::backend::params::LinearParams;
use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice};

/// `out[row, first_out + n] = Σ_k x[row, k] * weight[n, k] + bias[first_out + n]`, or `+=`
pub(super) fn linear(
    p: &LinearParams,
    x: ArrayView2<f32>,
    weight: ArrayView2<f32>,
    bias: Option<&[f32]>,
    mut out: ArrayViewMut2<f32>,
) {
    let first_out = p.first_out as usize;
    let out = out.slice_axis_mut(Axis(1), Slice::from(first_out..first_out + p.num_out as usize));
    matmul(x, [weight], out, |out, n, [sum]| {
        let value = sum + bias.map_or(0.0, |bias| bias[first_out + n]);
        *out = if p.add_to_out != 0 { *out + value } else { value };
    });
}
