//! `paged_attention`: the twin of `shaders/paged_attention.wgsl`, and the fast version.

use super::attend::{attend_rows, attend_splits};
use super::fast::query_tile::Call;
use super::query_rows::QueryRow;
use crate::backend::KvPool;
use crate::backend::params::AttentionParams;

/// Attention of the sequences listed in the metadata, each with one query row: of whole sequences to `out`, of splits of
/// sequences to `partials`.
pub(super) fn paged_attention(call: &Call<'_>, out: &mut [f32], partials: &mut [f32]) {
    let (rows, splits) = items(call.p, call.step);
    call.rows(&rows, out);
    call.splits(&splits, partials);
}

/// The twin.
pub(super) fn naive_paged_attention(
    p: &AttentionParams,
    step: &[u32],
    q: &[f32],
    kv: KvPool<&[u32]>,
    out: &mut [f32],
    partials: &mut [f32],
) {
    let (rows, splits) = items(p, step);
    attend_rows(p, step, &rows, q, kv, out);
    attend_splits(p, step, &splits, q, kv, partials);
}

/// Whole sequences, and splits.
fn items(p: &AttentionParams, step: &[u32]) -> (Vec<QueryRow>, Vec<QueryRow>) {
    let cu_seqlens_q = &step[p.cu_seqlens_q_offset as usize..];
    let items = step[p.items_offset as usize..].chunks_exact(3).take(p.num_items as usize);
    let mut rows: Vec<QueryRow> = items
        .map(|item| {
            let seq = item[0] as usize;
            QueryRow { row: cu_seqlens_q[seq] as usize, seq, attended: item[1]..item[2] }
        })
        .collect();
    let splits = rows.split_off(p.num_whole as usize);
    (rows, splits)
}
