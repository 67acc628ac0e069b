//! Twin of `shaders/rms_norm.wgsl`.

use super::row_sum::sum_of_squares;
use crate::backend::params::RmsNormParams;
use ndarray::{ArrayView2, ArrayViewMut2};

/// `out[row, i] = x[row, i] * weight[i] / sqrt(mean(x[row, :]²) + eps)`
pub(super) fn rms_norm(p: &RmsNormParams, x: ArrayView2<f32>, weight: &[f32], mut out: ArrayViewMut2<f32>) {
    for (x, mut out) in x.outer_iter().zip(out.outer_iter_mut()) {
        let x = x.to_slice().expect("rows are contiguous");
        let inverse = 1.0 / (sum_of_squares(x) / p.width as f32 + p.eps).sqrt();
        for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
            *out = x * inverse * weight;
        }
    }
}
