//! Twin of `shaders/merge_splits.wgsl`.

use crate::backend::params::MergeSplitsParams;
use crate::backend::splits::partial_len;

/// Puts the splits of each row `(row, first split, end split)` of the attention metadata together.
pub(super) fn merge_splits(p: &MergeSplitsParams, step: &[u32], partials: &[f32], out: &mut [f32]) {
    let (num_heads, head_dim) = (p.num_heads as usize, p.head_dim as usize);
    let split_len = num_heads * partial_len(head_dim);
    for item in step[p.items_offset as usize..].chunks_exact(3).take(p.num_items as usize) {
        let [row, first, end] = [item[0], item[1], item[2]].map(|word| word as usize);
        let partials = &partials[first * split_len..end * split_len];
        merge_row(partials, head_dim, &mut out[row * num_heads * head_dim..][..num_heads * head_dim]);
    }
}

/// `out[head, :] = Σ_i exp(maximum_i − m) sums_i[head, :] / Σ_i exp(maximum_i − m) total_i`. `out` is one row, `partials`
/// all that was kept of its splits.
#[inline(always)]
pub(super) fn merge_row(partials: &[f32], head_dim: usize, out: &mut [f32]) {
    let partial_len = partial_len(head_dim);
    let num_heads = out.len() / head_dim;
    for (head, out) in out.chunks_exact_mut(head_dim).enumerate() {
        let of_head = || partials.chunks_exact(partial_len).skip(head).step_by(num_heads);
        let maximum = of_head().map(|partial| partial[head_dim]).fold(f32::MIN, f32::max);
        let mut total = 0.0;
        out.fill(0.0);
        for partial in of_head() {
            let share = (partial[head_dim] - maximum).exp();
            total += share * partial[head_dim + 1];
            for (out, sum) in out.iter_mut().zip(partial) {
                *out += share * sum;
            }
        }
        out.iter_mut().for_each(|out| *out /= total);
    }
}
