//! What the two attention twins share: one query row against its sequence's KV, through the block table.
//!
//! A row is added up split by split, and the splits are merged, whichever twin computes it: so its bits do not depend on
//! how a prompt was cut, nor on whether its splits were items of their own.

use super::kv_head::read_head;
use super::merge_splits::merge_row;
use super::query_rows::{HeadPlace, QueryRow};
use super::softmax::weigh;
use crate::backend::KvPool;
use crate::backend::params::AttentionParams;
use crate::backend::splits::{partial_len, splits};
use std::ops::Range;

/// Attention of the given rows, all heads; `q` and `out` are `[num_tokens, num_heads, head_dim]`.
/// Rows of `out` that are not listed stay as they are.
pub(super) fn attend_rows(
    p: &AttentionParams,
    step: &[u32],
    rows: &[QueryRow],
    q: &[f32],
    kv: KvPool<&[u32]>,
    out: &mut [f32],
) {
    let width = (p.num_heads * p.head_dim) as usize;
    let split_len = p.num_heads as usize * partial_len(p.head_dim as usize);
    for query in rows {
        let splits = splits(query.attended.clone());
        let mut partials = vec![0.0; splits.len() * split_len];
        for (tokens, partial) in splits.zip(partials.chunks_exact_mut(split_len)) {
            attend_split(p, step, query, tokens, q, kv, partial);
        }
        merge_row(&partials, p.head_dim as usize, &mut out[query.row * width..][..width]);
    }
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
    let split_len = p.num_heads as usize * partial_len(p.head_dim as usize);
    for (split, partial) in splits.iter().zip(partials.chunks_exact_mut(split_len)) {
        attend_split(p, step, split, split.attended.clone(), q, kv, partial);
    }
}

/// `Σ_j exp(score_j − maximum) v[j]`, the maximum of the scores `scale · q[head]·k[j]`, and `Σ_j exp(score_j − maximum)`
/// of each head over the tokens `j`.
fn attend_split(
    p: &AttentionParams,
    step: &[u32],
    query: &QueryRow,
    tokens: Range<u32>,
    q: &[f32],
    kv: KvPool<&[u32]>,
    partial: &mut [f32],
) {
    let head_dim = p.head_dim as usize;
    let group = (p.num_heads / p.num_kv_heads) as usize;
    let tokens = tokens.start as usize..tokens.end as usize;
    let q = &q[query.row * p.num_heads as usize * head_dim..];
    let mut scratch = vec![0.0f32; head_dim];
    let mut weights = vec![0.0f32; tokens.len()];
    let partials = partial.chunks_exact_mut(partial_len(head_dim));
    for (head, (q, partial)) in q.chunks_exact(head_dim).zip(partials).enumerate() {
        let place = HeadPlace::new(p, step, query.seq, head / group);
        for (token, weight) in tokens.clone().zip(&mut weights) {
            let k = read_head(kv.k, kv.elements, place.of_token(token), &mut scratch);
            *weight = p.scale * q.iter().zip(k).fold(0.0, |sum, (q, k)| q.mul_add(*k, sum));
        }
        let (maximum, total) = weigh(&mut weights);
        let (sums, rest) = partial.split_at_mut(head_dim);
        sums.fill(0.0);
        for (token, weight) in tokens.clone().zip(&weights) {
            let v = read_head(kv.v, kv.elements, place.of_token(token), &mut scratch);
            sums.iter_mut().zip(v).for_each(|(sum, v)| *sum = weight.mul_add(*v, *sum));
        }
        rest.copy_from_slice(&[maximum, total, 0.0, 0.0]);
    }
}
