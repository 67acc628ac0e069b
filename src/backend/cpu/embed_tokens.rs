//! Twin of `shaders/embed_tokens.wgsl`.

use super::fast::panels::Panels;
use crate::backend::params::EmbedTokensParams;
use ndarray::ArrayViewMut2;

/// `out[row, :] = table[token_ids[row], :]` for the token ids that this piece of the table holds.
pub(super) fn embed_tokens(
    p: &EmbedTokensParams,
    step: &[u32],
    sampled_tokens: &[u32],
    table: &Panels,
    mut out: ArrayViewMut2<f32>,
) {
    let token_ids = &step[p.token_ids_offset as usize..][..p.num_tokens as usize];
    for (&token_id, mut out) in token_ids.iter().zip(out.outer_iter_mut()) {
        let token_id = if p.from_sampled == 1 { sampled_tokens[2 * token_id as usize] } else { token_id };
        let row = token_id.wrapping_sub(p.first_row);
        if row < p.num_rows {
            out.iter_mut().zip(table.row(row as usize)).for_each(|(out, value)| *out = value);
        }
    }
}
