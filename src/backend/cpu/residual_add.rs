//! Twin of `shaders/residual_add.wgsl`.

use crate::backend::params::ResidualAddParams;

/// `x[i] += y[i]`
pub(super) fn residual_add(p: &ResidualAddParams, y: &[f32], x: &mut [f32]) {
    for (x, y) in x.iter_mut().zip(y).take(p.len as usize) {
        *x += y;
    }
}
