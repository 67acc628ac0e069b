//! What the two attention twins share: one query row against its sequence's KV, through the block table.
//!
//! A row is added up split by split, and the splits are merged, whichever twin computes it: so its bits do not depend on
//! how a prompt was cut, nor on whether its splits were items of their own.

use super::dot::dot;
use super::kv_head::head_at;
use super::merge_splits::merge_row;
use crate::backend::KvPool;
use crate::backend::params::AttentionParams;
use crate::backend::splits::{partial_len, splits};
#[cfg(feature = "parallel")]
use rayon::prelude::*;
use std::ops::Range;

/// A query row, the sequence it belongs to, and the tokens of that to attend to.
#[derive(Clone, Debug)]
pub(super) struct QueryRow {
    pub row: usize,
    pub seq: usize,
    pub attended: Range<u32>,
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
    for query in rows {
        let (out, after) = rest.split_at_mut((query.row - next_row) * width).1.split_at_mut(width);
        tasks.push((query, out));
        (rest, next_row) = (after, query.row + 1);
    }
    let arch = pulp::Arch::new();
    for_each(tasks, |(query, out)| arch.dispatch(|| attend_row(p, step, query, q, kv, out)));
}

/// Attention of splits, all heads, each with its tokens; what is kept of them goes to `partials`, one after the other.
pub(super) fn attend_splits(
    p: &AttentionParams,
    step: &[u32],
    splits: &[QueryRow],
    q: &[f32],
    kv: KvPool<&[u32]>,
    partials: &mut [f32],
) {
    let tasks = splits.iter().zip(partials.chunks_exact_mut(partial_row_len(p))).collect();
    let arch = pulp::Arch::new();
    for_each(tasks, |(split, partial)| {
        arch.dispatch(|| attend_split(p, step, split.seq, split.attended.clone(), query_of(p, q, split), kv, partial))
    });
}

fn for_each<T: Send>(tasks: Vec<T>, task: impl Fn(T) + Sync + Send) {
    #[cfg(feature = "parallel")]
    tasks.into_par_iter().for_each(task);
    #[cfg(not(feature = "parallel"))]
    tasks.into_iter().for_each(task);
}

/// Words of what is kept of a split, all heads.
fn partial_row_len(p: &AttentionParams) -> usize {
    p.num_heads as usize * partial_len(p.head_dim as usize)
}

#[inline(always)]
fn query_of<'a>(p: &AttentionParams, q: &'a [f32], query: &QueryRow) -> &'a [f32] {
    let width = (p.num_heads * p.head_dim) as usize;
    &q[query.row * width..][..width]
}

/// `out[head, :] = Σ_j softmax_j(scale · q[head]·k[j]) v[j]` over the tokens `j` that the query attends to.
#[inline(always)]
fn attend_row(p: &AttentionParams, step: &[u32], query: &QueryRow, q: &[f32], kv: KvPool<&[u32]>, out: &mut [f32]) {
    let splits = splits(query.attended.clone());
    let mut partials = vec![0.0; splits.len() * partial_row_len(p)];
    for (tokens, partial) in splits.zip(partials.chunks_exact_mut(partial_row_len(p))) {
        attend_split(p, step, query.seq, tokens, query_of(p, q, query), kv, partial);
    }
    merge_row(&partials, p.head_dim as usize, out);
}

/// `Σ_j exp(score_j − maximum) v[j]`, the maximum of the scores `scale · q[head]·k[j]`, and `Σ_j exp(score_j − maximum)`
/// of each head over the tokens `j`. `q` is one row.
#[inline(always)]
fn attend_split(
    p: &AttentionParams,
    step: &[u32],
    seq: usize,
    tokens: Range<u32>,
    q: &[f32],
    kv: KvPool<&[u32]>,
    partial: &mut [f32],
) {
    let (head_dim, block_size) = (p.head_dim as usize, p.block_size as usize);
    let group = (p.num_heads / p.num_kv_heads) as usize;
    let tokens = tokens.start as usize..tokens.end as usize;
    let blocks = p.block_table_offset as usize + step[p.block_table_offsets_offset as usize + seq] as usize;
    // Where a token's K (or V) of one head lies in its pool: [num_blocks][num_kv_heads][block_size][head_dim].
    let at = |kv_head: usize, token: usize| {
        let block = step[blocks + token / block_size] as usize;
        let row = (block * p.num_kv_heads as usize + kv_head) * block_size + token % block_size;
        row * head_dim
    };
    let mut scratch = vec![0.0f32; head_dim];
    let mut weights = vec![0.0f32; tokens.len()];
    let partials = partial.chunks_exact_mut(partial_len(head_dim));
    for (head, (q, partial)) in q.chunks_exact(head_dim).zip(partials).enumerate() {
        let kv_head = head / group;
        for (token, weight) in tokens.clone().zip(&mut weights) {
            *weight = p.scale * dot(q, head_at(kv.k, kv.elements, at(kv_head, token), &mut scratch));
        }
        let maximum = weights.iter().copied().fold(f32::MIN, f32::max);
        let mut total = 0.0;
        let (sums, rest) = partial.split_at_mut(head_dim);
        sums.fill(0.0);
        for (token, weight) in tokens.clone().zip(&weights) {
            let weight = (weight - maximum).exp();
            total += weight;
            for (sum, v) in sums.iter_mut().zip(head_at(kv.v, kv.elements, at(kv_head, token), &mut scratch)) {
                *sum += weight * v;
            }
        }
        rest.copy_from_slice(&[maximum, total, 0.0, 0.0]);
    }
}
