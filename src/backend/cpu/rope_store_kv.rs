//! Twin of `shaders/rope_store_kv.wgsl`.

use super::kv_head::store_head;
use super::row_sum::sum_of_squares;
use crate::backend::KvPool;
use crate::backend::params::RopeStoreKvParams;
use ndarray::{ArrayView2, ArrayViewMut2};

/// Norms the heads of Q and K, if there is a norm, turns them by their row's position, and puts Q into `q`, K and V into
/// the row's slot of the pools.
pub(super) fn rope_store_kv(
    p: &RopeStoreKvParams,
    step: &[u32],
    table: &[f32],
    norms: Option<&[f32]>,
    qkv: ArrayView2<f32>,
    mut q: ArrayViewMut2<f32>,
    kv: KvPool<&mut [u32]>,
) {
    let [num_heads, num_kv_heads, head_dim, block_size] =
        [p.num_heads, p.num_kv_heads, p.head_dim, p.block_size].map(|count| count as usize);
    let (q_norm, k_norm) = norms.map(|norms| norms[..2 * head_dim].split_at(head_dim)).unzip();
    let mut turned_key = vec![0.0; head_dim];
    for (row, (x, mut q)) in qkv.outer_iter().zip(q.outer_iter_mut()).enumerate() {
        let position = step[p.positions_offset as usize + row] as usize;
        let angles = &table[position * head_dim..][..head_dim];
        let (queries, x) = x.to_slice().expect("rows are contiguous").split_at(num_heads * head_dim);
        let turned = q.as_slice_mut().expect("rows are contiguous").chunks_exact_mut(head_dim);
        for (head, turned) in queries.chunks_exact(head_dim).zip(turned) {
            norm_and_turn(p, head, q_norm, angles, turned);
        }

        let slot = step[p.slot_mapping_offset as usize + row] as usize;
        let (block, offset) = (slot / block_size, slot % block_size);
        let (keys, values) = x.split_at(num_kv_heads * head_dim);
        let heads = keys.chunks_exact(head_dim).zip(values.chunks_exact(head_dim));
        for (kv_head, (key, value)) in heads.enumerate() {
            let at = ((block * num_kv_heads + kv_head) * block_size + offset) * head_dim;
            norm_and_turn(p, key, k_norm, angles, &mut turned_key);
            store_head(kv.k, kv.elements, at, &turned_key);
            store_head(kv.v, kv.elements, at, value);
        }
    }
}

/// `out` = the head, normed if there is a `norm`, with the pairs `(i, i + head_dim/2)` turned by `angles`: their cosines,
/// then their sines.
fn norm_and_turn(p: &RopeStoreKvParams, head: &[f32], norm: Option<&[f32]>, angles: &[f32], out: &mut [f32]) {
    out.copy_from_slice(head);
    if let Some(norm) = norm {
        let inverse = 1.0 / (sum_of_squares(head) / p.head_dim as f32 + p.eps).sqrt();
        out.iter_mut().zip(norm).for_each(|(x, weight)| *x = *x * inverse * weight);
    }
    let half = head.len() / 2;
    let (cos, sin) = angles.split_at(half);
    let (first, second) = out.split_at_mut(half);
    for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
        (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
    }
}
