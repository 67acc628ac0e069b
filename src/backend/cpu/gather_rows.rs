//! Twin of `shaders/gather_rows.wgsl`.

use crate::backend::params::GatherRowsParams;
use ndarray::{ArrayView2, ArrayViewMut2};

/// `out[row, :] = x[logit_indices[row], :]`
pub(super) fn gather_rows(p: &GatherRowsParams, step: &[u32], x: ArrayView2<f32>, mut out: ArrayViewMut2<f32>) {
    let indices = &step[p.indices_offset as usize..][..p.num_rows as usize];
    for (&index, mut out) in indices.iter().zip(out.outer_iter_mut()) {
        out.assign(&x.row(index as usize));
    }
}
