//! `ragged_attention`: the twin of `shaders/ragged_attention.wgsl`, and the fast version.

use super::attend::attend_rows;
use super::fast::query_tile::Call;
use super::query_rows::QueryRow;
use crate::backend::KvPool;
use crate::backend::attention_metadata::query_tile_rows;
use crate::backend::params::AttentionParams;
use crate::backend::splits::attended;

/// Causal attention of the query tiles `(sequence, first packed row)` in the attention metadata.
pub(super) fn ragged_attention(call: &Call<'_>, out: &mut [f32]) {
    call.rows(&query_rows(call.p, call.step), out);
}

/// The twin.
pub(super) fn naive_ragged_attention(
    p: &AttentionParams,
    step: &[u32],
    q: &[f32],
    kv: KvPool<&[u32]>,
    out: &mut [f32],
) {
    attend_rows(p, step, &query_rows(p, step), q, kv, out);
}

/// The queries of the tiles, each once, in ascending order.
fn query_rows(p: &AttentionParams, step: &[u32]) -> Vec<QueryRow> {
    let group = (p.num_heads / p.num_kv_heads) as usize;
    let tile_rows = query_tile_rows(p.head_dim as usize);
    let cu_seqlens_q = &step[p.cu_seqlens_q_offset as usize..];
    let context_lens = &step[p.context_lens_offset as usize..];
    let mut rows: Vec<QueryRow> = Vec::new();
    for item in step[p.items_offset as usize..].chunks_exact(2).take(p.num_items as usize) {
        let (seq, first) = (item[0] as usize, item[1] as usize);
        let packed_rows = (cu_seqlens_q[seq + 1] - cu_seqlens_q[seq]) as usize * group;
        let end = packed_rows.min(first + tile_rows);
        // A tile may begin amid a query's heads: the query then stands in two tiles, and is computed once here.
        let queries = first / group..end.div_ceil(group);
        let rows_of_tile = queries.map(|query| {
            let attended = attended(context_lens[seq] + query as u32, p.window);
            QueryRow { row: cu_seqlens_q[seq] as usize + query, seq, attended }
        });
        let last = rows.last().map(|last| last.row);
        rows.extend(rows_of_tile.filter(|query| last.is_none_or(|last| query.row > last)));
    }
    rows
}
