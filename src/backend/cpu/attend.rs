//! What the two attention twins share: one query row against its sequence's KV, through the block table.

use super::dot::dot;
use super::kv_head::head_at;
use crate::backend::KvPool;
use crate::backend::params::AttentionParams;
#[cfg(feature = "parallel")]
use rayon::prelude::*;

/// A query row and the sequence it belongs to.
#[derive(Clone, Copy)]
pub(super) struct QueryRow {
    pub row: usize,
    pub seq: usize,
}

/// Attention of the given rows, all heads; `q` and `out` are `[num_tokens, num_heads, head_dim]`.
/// Rows of `out` that are not listed stay as they are. `rows` is in ascending order, each row at most once.
pub(super) fn attend_rows(
    p: &AttentionParams,
    step: &[u32],
    rows: &[QueryRow],
    q: &[f32],
    kv: KvPool<&[u32]>,
    out: &mut [f32],
) {
    let width = (p.num_heads * p.head_dim) as usize;
    let mut rest = out;
    let mut next_row = 0;
    let mut tasks = Vec::with_capacity(rows.len());
    for &query in rows {
        let (out, after) = rest.split_at_mut((query.row - next_row) * width).1.split_at_mut(width);
        tasks.push((query, out));
        (rest, next_row) = (after, query.row + 1);
    }
    let arch = pulp::Arch::new();
    let task = |(query, out): (QueryRow, &mut [f32])| {
        let q = &q[query.row * width..][..width];
        arch.dispatch(|| attend_row(p, step, query, q, kv, out));
    };
    #[cfg(feature = "parallel")]
    tasks.into_par_iter().for_each(task);
    #[cfg(not(feature = "parallel"))]
    tasks.into_iter().for_each(task);
}

/// `out[head, :] = Σ_j softmax_j(scale · q[head]·k[j]) v[j]` over the tokens `j` that the query sees:
///
/// ```text
/// [0, first)       outside the sliding window
/// [first, end)     visible; end = position + 1: the query sees itself
/// [end, seq_len)   the future
/// ```
#[inline(always)]
fn attend_row(p: &AttentionParams, step: &[u32], query: QueryRow, q: &[f32], kv: KvPool<&[u32]>, out: &mut [f32]) {
    let at = |offset: u32, i: usize| step[offset as usize + i] as usize;
    let (head_dim, block_size) = (p.head_dim as usize, p.block_size as usize);
    let group = (p.num_heads / p.num_kv_heads) as usize;
    let position = at(p.context_lens_offset, query.seq) + query.row - at(p.cu_seqlens_q_offset, query.seq);
    let end = position + 1;
    let first = end.saturating_sub(p.window as usize);
    let blocks = p.block_table_offset as usize + at(p.block_table_offsets_offset, query.seq);
    // Where a token's K (or V) of one head lies in its pool: [num_blocks][num_kv_heads][block_size][head_dim].
    let at = |kv_head: usize, token: usize| {
        let block = step[blocks + token / block_size] as usize;
        let row = (block * p.num_kv_heads as usize + kv_head) * block_size + token % block_size;
        row * head_dim
    };
    let mut scratch = vec![0.0f32; head_dim];
    let mut weights = vec![0.0f32; end - first];
    for (head, (q, out)) in q.chunks_exact(head_dim).zip(out.chunks_exact_mut(head_dim)).enumerate() {
        let kv_head = head / group;
        for (token, weight) in (first..end).zip(&mut weights) {
            *weight = p.scale * dot(q, head_at(kv.k, kv.elements, at(kv_head, token), &mut scratch));
        }
        let max = weights.iter().copied().fold(f32::MIN, f32::max);
        let mut sum = 0.0;
        out.fill(0.0);
        for (token, weight) in (first..end).zip(&weights) {
            let weight = (weight - max).exp();
            sum += weight;
            for (out, v) in out.iter_mut().zip(head_at(kv.v, kv.elements, at(kv_head, token), &mut scratch)) {
                *out += weight * v;
            }
        }
        out.iter_mut().for_each(|out| *out /= sum);
    }
}
