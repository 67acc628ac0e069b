//! Twin of `shaders/rope.wgsl`.

use crate::backend::params::RopeParams;
use ndarray::ArrayViewMut2;

/// Rotates the pair `(x[i], x[i + head_dim/2])` of each head by the angle `position · inv_freq[i]`.
pub(super) fn rope(p: &RopeParams, step: &[u32], table: &[f32], mut x: ArrayViewMut2<f32>) {
    let head_dim = p.head_dim as usize;
    let positions = &step[p.positions_offset as usize..][..p.num_tokens as usize];
    for (&position, mut row) in positions.iter().zip(x.outer_iter_mut()) {
        let (cos, sin) = table[position as usize * head_dim..][..head_dim].split_at(head_dim / 2);
        for head in row.as_slice_mut().expect("rows are contiguous").chunks_exact_mut(head_dim) {
            let (first, second) = head.split_at_mut(head_dim / 2);
            for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
                (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
            }
        }
    }
}
